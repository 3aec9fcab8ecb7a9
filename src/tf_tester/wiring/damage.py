"""What is damaged here, by the checks that the commands make themselves; nothing is changed."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tf_tester.errors import OurFailure
from tf_tester.execute.probe import is_network_file_system
from tf_tester.model.host.damage import Damage, PrivateFolderCheck
from tf_tester.serve.private import PrivateFolder
from tf_tester.serve.private_changes import damaged
from tf_tester.serve.private_names import PrivateNames
from tf_tester.store.folder import StoreFolder, lost_link, store_errors
from tf_tester.store.ledger import Ledger

_VERIFY = "`tf-tester cache verify`"


def store_damage(root: Path) -> list[Damage]:
    """Return what of a store is damaged, as far as it shows without its files being read. Raises `StoreError`."""
    folder = StoreFolder(root)
    if not root.is_dir():
        return []
    with store_errors(root):
        found = [
            Damage(f"{place} is no folder", f"{_VERIFY}, as any command, renames it and makes a folder.")
            for place in folder.misplaced()
        ]
        links = map(lost_link, folder.lost_links())
        found += [Damage(str(error).rstrip("."), error.hint) for error in links]
    trouble = Ledger(folder.ledger, shared=is_network_file_system(root)).examine()
    if trouble:
        found.append(Damage(f"{folder.ledger}: {trouble}", f"{_VERIFY} mends it, and tells what is forgotten with it."))
    return found


def private_damage(store: Path, named: Path | None) -> list[PrivateFolderCheck]:
    """Look at a private folder, and at those that servers of this store had. Raises `OurFailure`."""
    known = [Path(unquote(urlsplit(one).path)) for one in PrivateNames(named or store, store).folders]
    folders = dict.fromkeys([*([named.absolute()] if named is not None else []), *known])
    return [_looked_at(folder, store) for folder in folders]


def _looked_at(folder: Path, store: Path) -> PrivateFolderCheck:
    private, found, count = PrivateFolder(folder, store), list[str](), 0
    try:
        private.check_there()
    except OurFailure as error:
        found.append(f"{error} {error.hint}")
        if not private.there:
            return PrivateFolderCheck(folder, 0, tuple(found))
    count = damaged(private, found.append, anew=False)
    try:
        found += [
            f"{name} isn't noted as private in {file}: `tf-tester serve` notes it when it starts."
            for name, file in private.known.unnoted(private.entered)
        ]
    except OurFailure as error:
        if f"{error} {error.hint}" not in found:
            found.append(f"{error} {error.hint}")
    return PrivateFolderCheck(folder, count, tuple(dict.fromkeys(found)))
