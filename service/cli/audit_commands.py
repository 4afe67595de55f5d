"""`volens audit`: the audit log, a Merkle tree of signed events."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.audit import (
    MAX_LINE_BYTES,
    Checkpoint,
    VerifierKey,
    empty_root,
    open_checkpoint,
    refuse_other_signer,
    verify_log_file,
)
from volens.audit.cosignature import require_quorum
from volens.audit.tiles import verify_tiles
from volens.consent import InputError, TamperError, format_time
from volens.erase.proof import verify_certificate
from volens.rights.static_tiles import CHECKPOINT_FILE, read_tile
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import (
    Quorum,
    lines_of,
    must_be_new,
    read_file,
    read_site_key,
    write_private,
    write_public,
)
from volens.service.cli.options import (
    HomeOption,
    JsonOption,
    PublicLogHoursOption,
    QuorumOption,
    WitnessKeyOption,
    home_folder,
)
from volens.service.cli.output import counted, emit, members, shown
from volens.service.cli.session import opened
from volens.store import PUBLIC_KEY_FILE
from volens.store.files import shell_command
from volens.store.log.shard_report import ShardReport, VerifiedShard

app = Commands("audit", "Verify, show and export the audit log.")

SHARD_MEMBERS: Final = "name size root openings is_closed kinds"
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="<name>",
        help="One shard of the log, such as 'visits/lobby/2026-11/17'; 'volens audit verify' lists them.",
        show_default=False,
    ),
]


@app.command(
    "verify", "\nvolens-log.jsonl --trust site.pub --evidence certificate.json\n--from last.txt --save last.txt"
)
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="What 'volens audit export' wrote, or a folder with the checkpoint and the tiles of the public log. "
            "Default: the log of the site.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="With FILE: the site's public key, site.pub.", show_default=False)
    ] = None,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help="With FILE: a certificate or checkpoint kept elsewhere, which the log must continue; repeat it.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="A checkpoint or certificate verified before: verify only what came after it."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the newest checkpoint to this file, for the next --from.")
    ] = None,
    shard: ShardOption = None,
    witness: WitnessKeyOption = None,
    quorum: QuorumOption = None,
    home: HomeOption = None,
) -> Output:
    """Verify the main log, the shards with the visits, and every authenticated row. Exit code 4 if one does not hold.

    With --from, only the entries after an earlier checkpoint are read, and that the log continues it. With FILE, verify
    an exported log or shard, or tiles, with the public key alone: no site and no keyring are needed.
    """
    if save is not None and save != start:
        must_be_new(save, "the checkpoint")
    if file is not None and shard is not None:
        raise InputError("got FILE and --shard; a file has one log or one shard, leave --shard out")
    if shard is not None and (start is not None or save is not None):
        raise InputError("got --shard with --from or --save, which are of the main log; leave them out")
    witnesses = Quorum.of(witness, quorum)
    if file is not None and file.is_dir():
        earlier = [*(evidence or []), *([] if start is None else [start])]
        return _verify_tiles(file, trust, earlier, witnesses, save)
    if witnesses is not None:
        raise InputError("got --witness without a folder of tiles; the public log is what witnesses cosign")
    if file is not None:
        if start is not None or save is not None:
            raise InputError("got --from or --save with an exported log, which is read whole; use --evidence instead")
        return _verify_file(file, trust, evidence or [])
    if trust is not None or evidence:
        raise InputError("got --trust or --evidence without FILE; pass the log that 'volens audit export' wrote")
    with opened(home) as site:
        if shard is not None:
            (one,) = site.log.verify_shards(shard).shards or (None,)
            return _shard_output(shard, one)
        report = site.log.verify(None if start is None else _checkpoint_in(start, site.verifier_key))
    _save(save, report.note)
    count = counted(report.size - report.since, "new entry", "new entries")
    since = "" if start is None else f"{count} after the {report.since} of {shown(start)}; "
    text = (
        f"the log {report.origin} holds: {report.size} entries, {since}{report.checkpoints} signed checkpoints, "
        f"{report.openings} entries that can still be opened\n{_by_kind(report.kinds)}\n{_shards(report.shards)}"
    )
    shards = [members(one, SHARD_MEMBERS) for one in report.shards.shards]
    document = members(report, "origin size since root checkpoints openings kinds") | {"shards": shards}
    return document | {"shards_ended": report.shards.ended, "shards_lost": report.shards.lost}, text


@app.command("export", "volens-log.jsonl")
def export(
    site: Site,
    out: Annotated[Path, typer.Argument(help="The file to write (JSON Lines).", show_default=False)],
    shard: ShardOption = None,
) -> Output:
    """Write the main log, or one shard of it, into a file that anyone can verify with site.pub alone.

    It has every leaf and every signed checkpoint, and the details of zones, notices and recipients only. Leaves show
    the kind and the time of each event, so give the file to an auditor and do not publish it.
    """
    must_be_new(out, "the log")
    write_private(out, site.log.export(shard))
    with lines_of(out, "log", MAX_LINE_BYTES) as lines:
        checked = verify_log_file(lines, site.verifier_key)
    document = {"file": str(out), "key": site.verifier_key.line()} | members(checked.head, "origin size root")
    text = (
        f"wrote {shown(out)}: {counted(checked.head.size, 'entry', 'entries')}, "
        f"{counted(checked.checkpoints, 'signed checkpoint')}, {counted(checked.openings, 'entry', 'entries')} with "
        f"details\ncheck it with: "
        + shell_command("volens", "audit", "verify", out, "--trust", site.home / PUBLIC_KEY_FILE)
    )
    return document, text


@app.command("tiles", "/var/www/volens-log")
def tiles(
    site: Site,
    folder: Annotated[Path, typer.Argument(help="Folder that a web server shows; new, or of an earlier run.")],
    hours: PublicLogHoursOption = 24,
) -> Output:
    """Write the public audit log as static files: checkpoint, site.pub, and the hashes of the entries as tiles.

    Any web server can show them (C2SP tlog-tiles). A further run writes only what is new. Entries are not published.
    """
    written = site.log.write_tiles(folder, timedelta(hours=hours))
    document = {"folder": str(folder), "tiles": written.tiles} | members(written.head, "origin size root")
    text = (
        f"{shown(folder)} has the public log of {counted(written.head.size, 'entry', 'entries')}; "
        f"{counted(written.tiles, 'tile')} written"
    )
    return document, text


@app.command("correct-time")
def correct_time(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Go on after this machine's clock was ahead and was set right. Terms may then run again; the audit log says so."""
    newest, now = Site.correct_time(home_folder(home))
    if newest is None or newest <= now:
        text = "the clock is not behind the newest entry of the audit log; nothing was changed"
        emit({"corrected": False, "now": format_time(now)}, text, as_json=as_json)
        return
    times = {"now": format_time(now), "newest": format_time(newest)}
    text = f"the time is {times['now']} from now on; the newest entry was of {times['newest']}"
    emit({"corrected": True, **times}, text, as_json=as_json)


@app.command("show", "decisions.counted")
def show(
    site: Site,
    kind: Annotated[str | None, typer.Argument(help="Only events of this kind, such as 'decisions.counted'.")] = None,
) -> Output:
    """Show events of the audit log that can be opened and concern no person, such as requests for each caller."""
    found = site.log.opened(kind)
    text = "\n".join(
        f"{format_time(one.at)} {one.kind}  {', '.join(f'{name} {value}' for name, value in one.details.items())}"
        for one in found
    )
    return {"events": [members(one, "kind at details") for one in found]}, text or "no event of this kind can be opened"


def _verify_tiles(
    folder: Path, trust: Path | None, evidence: list[Path], witnesses: Quorum | None, save: Path | None
) -> Output:
    if trust is None:
        raise InputError("a folder of tiles also needs --trust with the site's site.pub, from another source")
    key = read_site_key(trust)
    note = read_file(folder / CHECKPOINT_FILE, "checkpoint").decode("utf-8")
    head = _open_note(note, key)
    cosigned = [] if witnesses is None else require_quorum(note, witnesses.keys, witnesses.needed)
    earlier = [_checkpoint_in(path, key) for path in evidence]
    for one in earlier or [Checkpoint(key.name, 0, empty_root())]:
        verify_tiles(one, head, partial(read_tile, folder))
    _save(save, note)
    names = ", ".join(f"{shown(one.witness.name)} at {format_time(one.at)}" for one in cosigned)
    text = (
        f"valid: the tiles of the log {key.name}, {counted(head.size, 'entry', 'entries')}; it continues "
        f"{counted(len(earlier), 'earlier checkpoint')}" + (f"\ncosigned by {names}" if names else "")
    )
    document = members(head, "origin size root") | {"valid": True, "evidence": len(earlier)}
    return document | {"cosigned_by": [one.witness.name for one in cosigned]}, text


def _save(path: Path | None, note: str) -> None:
    if path is not None:
        write_public(path, note.encode("utf-8"), replace=True)


def _verify_file(file: Path, trust: Path | None, evidence: list[Path]) -> Output:
    if trust is None:
        raise InputError("a FILE also needs --trust with the site's site.pub, from another source than the log")
    key = read_site_key(trust)
    seen = [_checkpoint_in(path, key) for path in evidence]
    with lines_of(file, "log", MAX_LINE_BYTES) as lines:
        checked = verify_log_file(lines, key, seen)
    document = members(checked.head, "origin size root") | members(checked, "checkpoints openings kinds")
    text = (
        f"valid: the log {checked.head.origin}, {counted(checked.head.size, 'entry', 'entries')}, "
        f"{counted(checked.checkpoints, 'signed checkpoint')}, {counted(checked.openings, 'entry', 'entries')} with "
        f"details; it continues {counted(len(seen), 'piece')} of evidence\n{_by_kind(checked.kinds)}"
    )
    return document | {"valid": True, "evidence": len(seen)}, text


def _checkpoint_in(path: Path, key: VerifierKey) -> Checkpoint:
    data = read_file(path, "evidence")
    return verify_certificate(data, key).checkpoint if data.startswith(b"{") else _open_note(data.decode("utf-8"), key)


def _open_note(note: str, key: VerifierKey) -> Checkpoint:
    try:
        return open_checkpoint(note, key)
    except TamperError:
        refuse_other_signer("this checkpoint", note, key)
        raise


def _shards(report: ShardReport) -> str:
    lines = [f"  {one.size:6} {one.name}{'' if one.is_closed else ' (open)'}" for one in report.shards]
    there = f"{counted(len(lines), 'shard')} with {counted(report.entries, 'entry', 'entries')} hold"
    ended = f"{counted(report.ended, 'shard')} ended and deleted"
    lost = f"; {counted(report.lost, 'shard')} lost by a restore, as a whole or in part" if report.lost else ""
    return "\n".join([f"{there}; {ended}{lost}", *lines])


def _shard_output(name: str, shard: VerifiedShard | None) -> Output:
    if shard is None:
        return {"name": name, "ended": True}, f"the shard {name} has ended; the next sweep deletes it"
    state = "closed by the main log" if shard.is_closed else "still open"
    text = (
        f"the shard {name} holds: {counted(shard.size, 'entry', 'entries')}, {shard.openings} of which can still be "
        f"opened; it is {state}\n{_by_kind(shard.kinds)}"
    )
    return members(shard, SHARD_MEMBERS) | {"ended": False}, text


def _by_kind(kinds: Mapping[str, int]) -> str:
    return "\n".join(f"  {count:6} {kind}" for kind, count in sorted(kinds.items()))
