"""A log in memory, and the RFC's definitions written down as they stand, to compare with."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from volens.audit import leaf_hash, new_nodes

# The eight leaves of the Certificate Transparency test vectors and the root after each.
# Source: github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc; the same in
# github.com/transparency-dev/merkle, testonly/reference_test.go.
CT_LEAVES: Final = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS: Final = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]


class MemoryLog:
    """Stores nodes as a store does: inserted once, never changed; reading an unknown one is a bug of the reader."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        self.size = 0
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf: bytes) -> int:
        """Append a leaf and return how many nodes that made."""
        made = new_nodes(self.size, leaf_hash(leaf), self)
        for level, index, value in made:
            assert (level, index) not in self.nodes, "a node was made twice"
            self.nodes[level, index] = value
        self.size += 1
        return len(made)

    def __call__(self, level: int, index: int, /) -> bytes:
        """Read a node."""
        self.reads += 1
        return self.nodes[level, index]


def numbered(count: int) -> list[bytes]:
    """Return leaves that differ in content and length."""
    return [str(number).encode() * (1 + number % 3) for number in range(count)]


def rfc_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, by its own recursion."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    cut = split(len(leaves))
    return hashlib.sha256(b"\x01" + rfc_root(leaves[:cut]) + rfc_root(leaves[cut:])).digest()


def rfc_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 9162 section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    cut = split(len(leaves))
    if index < cut:
        return [*rfc_path(index, leaves[:cut]), rfc_root(leaves[cut:])]
    return [*rfc_path(index - cut, leaves[cut:]), rfc_root(leaves[:cut])]


def rfc_subproof(old: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1."""
    if old == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    cut = split(len(leaves))
    if old <= cut:
        return [*rfc_subproof(old, leaves[:cut], whole=whole), rfc_root(leaves[cut:])]
    return [*rfc_subproof(old - cut, leaves[cut:], whole=False), rfc_root(leaves[:cut])]


def split(size: int) -> int:
    """Return the largest power of two below `size`."""
    cut = 1
    while cut * 2 < size:
        cut *= 2
    return cut
