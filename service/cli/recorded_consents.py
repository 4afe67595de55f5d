"""What a command prints after a consent was recorded: the files for the person, and the next step."""

from pathlib import Path

from volens import Site
from volens.consent import Custody, SecondFactor, TakeHome
from volens.consent.receipt_signature import SignatureForm
from volens.service.cli.command_types import Output
from volens.service.cli.output import members, shown
from volens.service.cli.take_home_files import TakeHomeFiles
from volens.service.local_times import local_text
from volens.store.files import shell_command


def recorded(site: Site, take_home: TakeHome, files: TakeHomeFiles, new_key: Path | None = None) -> Output:
    """Return the result of a command that recorded a consent and wrote its files; the secret is wiped."""
    claims, out = take_home.receipt.claims, files.receipt
    agreed = site.zones.get(claims.purpose)
    ends = local_text(claims.expires_at, site.defaults.time_zone())
    document = {"receipt": str(out), "qr": str(files.qr), "signed_by": claims.signature.form.value}
    document |= members(claims, "receipt_id subject_id zone=purpose expires_at")
    enroll = f"{shell_command('volens', 'enroll', out)} PHOTOS"
    secret = ""
    if take_home.secret is not None:
        take_home.secret.wipe()
        document |= {"secret": str(files.secret), "secret_qr": str(files.secret_qr)}
        secret = (
            f"\nfor the person alone: {shown(files.secret)}, {shown(files.secret_qr)} (the same as a QR); "
            "the site does not store this secret, and without it the person can neither be enrolled nor recognised"
        )
        enroll += f" {shell_command('--secret', files.secret)}"
    elif claims.custody is Custody.BADGE:
        enroll += " --badge-out BADGE"
    if agreed.second_factor is not SecondFactor.NONE:
        option = "--pin" if agreed.second_factor is SecondFactor.PIN else "--badge-number"
        factor = shell_command("volens", "consent", "factor", out, option)
        enroll += f"\nthen, because this zone requires a second factor: {factor}"
    is_at_desk = claims.signature.form is SignatureForm.DESK
    text = (
        f"recorded the consent for zone {shown(agreed.label)}, until {ends}"
        + ("; signed at the desk, as the receipt says" if is_at_desk else "; signed by the person")
        + f"\ngive to the person: {shown(out)} (receipt and withdrawal code), {shown(files.qr)} (the code as a QR code)"
        + (f", {shown(new_key)} (their key)" if new_key else "")
        + secret
        + f"\nnext: {enroll}"
        + "\nuntil then this computer has copies of these files; after enrollment, print the sheet for the person and "
        + "remove the copies: "
        + shell_command("volens", "consent", "sheet", out, "--out", out.with_suffix(".pdf"), "--hand-over")
    )
    return document, text
