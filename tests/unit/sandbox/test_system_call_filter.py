"""The filter of system calls, run instruction by instruction as the kernel would."""

import functools
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tf_tester.sandbox import calls
from tf_tester.sandbox.calls import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    EACCES,
    EAFNOSUPPORT,
    ENOSYS,
    ENOTSUP,
    ENOTTY,
    EPERM,
)

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, KILLED, ASKED = "allowed", "killed", "asked"
Answer = int | str
"""The error that the program sees (0: as if it had been done), or one of these words."""
FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
FORKING = 0x11  # SIGCHLD alone
NEW_USER = 0x10000000
TIOCSTI, TIOCGWINSZ = 0x5412, 0x5413
SETUID, SETGID, EXECUTABLE = 0o4000, 0o2000, 0o755
O_CREAT, O_TMPFILE = 0o100, 0o20200000
O_TRUNC, O_WRONLY, O_RDWR, O_ACCMODE = 0o1000, 1, 2, 3


@dataclass(frozen=True)
class Filter:
    """One program, with what it was made for."""

    name: str
    families: tuple[int, ...]
    files_are_mounts: bool
    truncates: bool
    protected: tuple[int, ...]
    supervised: bool = False

    @functools.cached_property
    def program(self) -> list[calls.BpfInstruction]:
        return calls._instructions(
            self.name,
            self.families,
            self.files_are_mounts,
            self.truncates,
            self.protected,
            supervised=self.supervised,
        )

    def answer(self, number: int, arguments: Sequence[int] = (), architecture: int | None = None) -> Answer:
        """What the kernel does about a call; arguments are registers, of which `int`s take the low half."""
        where = ARCHITECTURES[self.name] if architecture is None else architecture
        registers = [argument % 2**64 for argument in arguments]
        call = struct.pack("<IIQ6Q", number % 2**32, where, 0, *registers, *[0] * (6 - len(registers)))
        return meaning(run(self.program, call))


def run(program: Sequence[calls.BpfInstruction], call: bytes) -> int:
    """What a program of classic BPF returns; an address beyond its end is an `IndexError`."""
    at = accumulator = 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                [accumulator] = struct.unpack_from("<I", call, value)
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= value
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += yes if accumulator == value else no
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += yes if accumulator >= value else no
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += yes if accumulator & value else no
            case 0x06:  # BPF_RET | BPF_K
                return value
            case _:
                raise AssertionError(f"no instruction has the code {code:#x}")


def meaning(returned: int) -> Answer:
    action, error = returned & 0xFFFF0000, returned & 0xFFFF
    if action == 0x00050000:
        return error
    return {0x7FFF0000: ALLOWED, 0x80000000: KILLED, 0x7FC00000: ASKED}[action]


registers = st.integers(min_value=0, max_value=2**64 - 1)
halves = st.integers(min_value=0, max_value=2**32 - 1)
arguments = st.lists(registers, min_size=6, max_size=6)
pids = st.integers(min_value=2, max_value=2**22)


def filters(
    *,
    files_are_mounts: bool | None = None,
    protected: st.SearchStrategy[tuple[int, ...]] | None = None,
    supervised: bool = False,
) -> st.SearchStrategy[Filter]:
    return st.builds(
        Filter,
        name=st.sampled_from(sorted(ARCHITECTURES)),
        families=st.sampled_from([(), FAMILIES]),
        files_are_mounts=st.booleans() if files_are_mounts is None else st.just(files_are_mounts),
        truncates=st.booleans(),
        protected=st.lists(pids, max_size=3, unique=True).map(tuple) if protected is None else protected,
        supervised=st.just(supervised),
    )


def plain(name: str, *, families: tuple[int, ...] = FAMILIES) -> Filter:
    """As where namespaces are to be had and the network is allowed."""
    return Filter(name, families, files_are_mounts=True, truncates=True, protected=())


each_architecture = pytest.mark.parametrize("name", sorted(ARCHITECTURES))


def refused(name: str) -> dict[str, int]:
    return calls._REFUSED[name] | calls._REFUSED_EVERYWHERE


def pretended(name: str) -> dict[str, int]:
    return calls._PRETENDED[name] | calls._PRETENDED_EVERYWHERE


def unsupported(name: str) -> dict[str, int]:
    return calls._UNSUPPORTED[name] | calls._UNSUPPORTED_EVERYWHERE


def tables_of_places(name: str) -> dict[str, tuple[int, int]]:
    return calls._MODE[name] | calls._OPEN[name] | calls._SENDS[name]


def by_argument(name: str) -> dict[str, int]:
    tables = {
        "truncate": calls._TRUNCATE,
        "inotify_add_watch": calls._WATCH,
        "ioctl": calls._IOCTL,
        "clone": calls._CLONE,
        "socket": calls._SOCKET,
        "socketpair": calls._SOCKETPAIR,
        "setsockopt": calls._SETSOCKOPT,
        "prlimit64": calls._PRLIMIT,
        "prctl": calls._PRCTL,
    }
    signals = {
        "x86_64": ("kill", "rt_sigqueueinfo", "tkill", "tgkill", "rt_tgsigqueueinfo"),
        "aarch64": ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    }
    return {
        **{call: table[name] for call, table in tables.items()},
        **dict(zip(signals[name], calls._KILLS[name], strict=True)),
        **{call: number for call, (number, _) in tables_of_places(name).items()},
        "openat2": calls._OPENAT2,
        "clone3": calls._CLONE3,
        "pidfd_send_signal": calls._PIDFD_SEND_SIGNAL,
        "pidfd_open": calls._PIDFD_OPEN,
    }


def spoken_of(name: str) -> dict[str, int]:
    """Every call of which the filter has something to say under some circumstances."""
    return (
        refused(name)
        | pretended(name)
        | unsupported(name)
        | calls._SHARED[name]
        | calls._ADDRESSED[name]
        | by_argument(name)
    )


# -- the tables


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_those_of_the_kernels_headers(name: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"there is no {header} here")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", Path(header).read_text("utf-8"), re.MULTILINE)
    known = {call: int(number) for call, number in found}
    ours = spoken_of(name)
    assert "mount" in known
    # Headers may be older than the newest calls.
    assert {call: known.get(call, number) for call, number in ours.items()} == ours


@each_architecture
def test_no_number_stands_for_two_calls(name: str) -> None:
    assert len(set(spoken_of(name).values())) == len(spoken_of(name))


@given(filters(protected=st.lists(pids, max_size=60, unique=True).map(tuple)))
def test_every_jump_fits_into_its_byte_and_lands_within_the_program(made: Filter) -> None:
    for at, (code, yes, no, value) in enumerate(made.program):
        assert 0 <= yes <= 255
        assert 0 <= no <= 255
        assert at + max(yes, no) + 1 < len(made.program) or code == 0x06
        assert 0 <= value < 2**32


# -- what is refused to everybody


@given(filters(), st.data())
def test_a_refused_call_is_refused_whatever_its_arguments(made: Filter, data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(sorted(refused(made.name))))
    number = refused(made.name)[call]
    # In namespaces a program sees none but its cell's own processes: these it may trace.
    expected = ALLOWED if made.files_are_mounts and call in calls._TRACES else EPERM
    assert made.answer(number, data.draw(arguments)) == expected


@given(filters(), arguments, halves)
def test_another_call_is_allowed_whatever_its_arguments(made: Filter, given: list[int], number: int) -> None:
    assume(number not in spoken_of(made.name).values())
    assume(made.name != "x86_64" or number < 0x40000000)
    assert made.answer(number, given) == ALLOWED


@given(filters(), arguments, st.integers(min_value=0, max_value=600))
def test_only_calls_that_are_spoken_of_are_not_allowed(made: Filter, given: list[int], number: int) -> None:
    assert made.answer(number, given) == ALLOWED or number in spoken_of(made.name).values()


@given(filters(), arguments, st.integers(min_value=0x40000000, max_value=2**32 - 1))
@example(plain("x86_64"), [0] * 6, 0x40000000)
def test_the_numbers_of_x32_are_deadly(made: Filter, given: list[int], number: int) -> None:
    if made.name == "x86_64":
        assert made.answer(number, given) == KILLED


@given(filters(), arguments, halves, halves)
@example(plain("x86_64"), [0] * 6, 0, 0x40000003)
@example(plain("aarch64"), [0] * 6, 0, 0x40000028)
@example(plain("aarch64"), [0] * 6, 0, 0xC000003E)
def test_the_calls_of_another_architecture_are_deadly(
    made: Filter, given: list[int], number: int, architecture: int
) -> None:
    assume(architecture != ARCHITECTURES[made.name])
    assert made.answer(number, given, architecture) == KILLED


@given(filters(), registers, arguments)
def test_a_process_is_made_without_a_new_user_namespace_only(made: Filter, flags: int, rest: list[int]) -> None:
    clone = calls._CLONE[made.name]
    assert made.answer(clone, [flags | NEW_USER, *rest[1:]]) == EPERM
    assert made.answer(clone, [flags & ~NEW_USER, *rest[1:]]) == ALLOWED


@given(filters(), arguments)
def test_calls_that_hide_their_flags_are_not_there(made: Filter, given: list[int]) -> None:
    assert {made.answer(number, given) for number in (calls._CLONE3, calls._OPENAT2)} == {ENOSYS}
    assert made.answer(calls._CLONE[made.name], [FORKING]) == ALLOWED


@given(filters(), halves, arguments)
@example(plain("x86_64"), 38, [0] * 6)  # AF_ALG
@example(plain("aarch64"), 40, [0] * 6)  # AF_VSOCK
def test_a_socket_of_another_family_is_not_supported(made: Filter, family: int, rest: list[int]) -> None:
    allowed = family in made.families
    assert made.answer(calls._SOCKET[made.name], [family, *rest[1:]]) == (ALLOWED if allowed else EAFNOSUPPORT)


@given(filters())
def test_a_socket_of_a_listed_family_is_opened(made: Filter) -> None:
    assert {made.answer(calls._SOCKET[made.name], [family, 1, 0]) for family in made.families} <= {ALLOWED}


@given(filters(), st.sampled_from([0, 0o4000, 0o2000000, 0o2004000]), halves)
@example(plain("x86_64", families=()), 0, 1)
def test_pairs_of_sockets_are_of_streams_where_others_are_out_of_reach(made: Filter, flags: int, above: int) -> None:
    def answer(kind: int) -> Answer:
        return made.answer(calls._SOCKETPAIR[made.name], [AF_UNIX, kind | flags | above << 32, 0])

    stream, datagram, raw, packets = 1, 2, 3, 5
    assert {answer(stream), answer(packets)} == {ALLOWED}
    # To the kernel a raw one is one of datagrams.
    assert {answer(datagram), answer(raw)} == {ALLOWED if AF_UNIX in made.families else EAFNOSUPPORT}


MSG_FASTOPEN, MSG_NOSIGNAL = 0x20000000, 0x4000


@given(filters(), arguments, halves, st.data())
def test_nothing_is_connected_by_sending_where_others_are_out_of_reach(
    made: Filter, given: list[int], above: int, data: st.DataObject
) -> None:
    number, place = data.draw(st.sampled_from(sorted(calls._SENDS[made.name].values())))
    free = AF_UNIX in made.families
    for flags, answer in ((MSG_NOSIGNAL, ALLOWED), (MSG_NOSIGNAL | MSG_FASTOPEN, ALLOWED if free else ENOTSUP)):
        given[place] = flags | above << 32
        assert made.answer(number, given) == answer


@given(filters(), arguments, st.integers(min_value=0, max_value=60), st.integers(min_value=0, max_value=100))
@example(plain("x86_64", families=()), [0] * 6, 0, 4)  # IP_OPTIONS, a route by way of another machine
@example(plain("aarch64", families=()), [0] * 6, 41, 57)
@example(plain("aarch64", families=()), [0] * 6, 1, 25)  # SO_BINDTODEVICE
@example(plain("x86_64", families=()), [0] * 6, 6, 30)  # TCP_FASTOPEN_CONNECT
def test_no_option_leads_a_socket_elsewhere_where_others_are_out_of_reach(
    made: Filter, given: list[int], level: int, number: int
) -> None:
    refused = AF_UNIX not in made.families and (level, number) in calls._LEADS_ELSEWHERE
    answer = made.answer(calls._SETSOCKOPT[made.name], [given[0], level, number, *given[3:]])
    assert answer == (EPERM if refused else ALLOWED)


# -- what somebody else does for it

asked_of = filters(files_are_mounts=False, supervised=True)


@given(asked_of, arguments)
def test_changes_of_files_are_asked_for_where_somebody_makes_them(made: Filter, given: list[int]) -> None:
    changes = pretended(made.name) | unsupported(made.name)
    answers = {call: made.answer(number, given) for call, number in changes.items()}
    owners = {call for call in changes if "chown" in call}
    without_a_way = set(calls._UNSUPPORTED_EVERYWHERE)
    assert {call for call, answer in answers.items() if answer == ASKED} == set(changes) - owners - without_a_way
    assert {answers[call] for call in owners} == {0}
    assert {answers[call] for call in without_a_way} == {ENOTSUP}


@given(asked_of, arguments, halves)
def test_sockets_are_asked_for_where_somebody_sees_whom_they_reach(made: Filter, given: list[int], family: int) -> None:
    free = AF_UNIX in made.families
    addressed = {made.answer(number, given) for number in calls._ADDRESSED[made.name].values()}
    assert addressed == {ALLOWED if free else ASKED}

    def opened(family: int) -> Answer:
        return made.answer(calls._SOCKET[made.name], [family, *given[1:]])

    assert {opened(one) for one in (AF_UNIX, AF_INET, AF_INET6)} == {ALLOWED if free else ASKED}
    assume(family not in FAMILIES)
    assert opened(family) == EAFNOSUPPORT
    assert opened(AF_NETLINK) == (ALLOWED if free else EAFNOSUPPORT)


@given(asked_of, arguments, st.data())
def test_what_is_refused_is_not_asked_for(made: Filter, given: list[int], data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(refused(made.name).values())))
    assert made.answer(number, given) == EPERM


@each_architecture
def test_every_call_that_is_asked_for_has_somebody_who_makes_it(name: str) -> None:
    from tf_tester.sandbox.supervise.files import FileChanges
    from tf_tester.sandbox.supervise.notices import Listener
    from tf_tester.sandbox.supervise.places import ScratchPlaces
    from tf_tester.sandbox.supervise.sockets import Sockets

    places = ScratchPlaces([])
    makers = set(FileChanges(places).calls) | set(Sockets(places, Listener(-1)).calls)
    assert set(calls.supervised_calls(name)) <= makers


@given(filters(), arguments, halves)
def test_nothing_is_typed_into_a_terminal(made: Filter, given: list[int], above: int) -> None:
    ioctl = calls._IOCTL[made.name]
    # The kernel looks at the low half only.
    assert made.answer(ioctl, [given[0], TIOCSTI | above << 32, *given[2:]]) == EPERM
    assert made.answer(ioctl, [given[0], TIOCGWINSZ | above << 32, *given[2:]]) == ALLOWED


@given(filters(), arguments, halves)
def test_other_ioctls_are_allowed(made: Filter, given: list[int], request: int) -> None:
    assume(request not in calls._IOCTLS)
    if not made.files_are_mounts:
        assume(request >> 8 & 0xFF not in calls._FILE_SYSTEM_IOCTLS)
        assume(not 0x8910 <= request < 0x8A00)
    assert made.answer(calls._IOCTL[made.name], [given[0], request, *given[2:]]) == ALLOWED


# -- what is refused where no mount protects files


@given(filters(), st.integers(min_value=-(2**31), max_value=2**31 - 1), arguments)
@example(Filter("x86_64", (), False, True, ()), 0, [0] * 6)
def test_limits_of_other_processes_are_set_only_where_there_are_no_others(
    made: Filter, pid: int, rest: list[int]
) -> None:
    allowed = made.files_are_mounts or pid == 0
    assert made.answer(calls._PRLIMIT[made.name], [pid, *rest[1:]]) == (ALLOWED if allowed else EPERM)


@given(filters(), arguments, halves, st.data())
@example(plain("x86_64"), [0] * 6, SETUID | EXECUTABLE, None)
@example(plain("aarch64"), [0] * 6, SETGID | EXECUTABLE, None)
def test_no_file_gets_the_right_of_its_owner(
    made: Filter, given: list[int], mode: int, data: st.DataObject | None
) -> None:
    places = sorted(calls._MODE[made.name].values())
    number, place = data.draw(st.sampled_from(places)) if data else places[-1]
    assume(made.files_are_mounts or number not in pretended(made.name).values())
    given[place] = mode
    assert made.answer(number, given) == (EPERM if mode & SETUID else ALLOWED)


@given(filters(), arguments, st.data())
def test_no_file_is_opened_anew_with_the_right_of_its_owner(
    made: Filter, given: list[int], data: st.DataObject
) -> None:
    number, place = data.draw(st.sampled_from(sorted(calls._OPEN[made.name].values())))
    flags, mode = data.draw(halves) & ~O_TRUNC, data.draw(halves)
    new = data.draw(st.sampled_from([O_CREAT, O_TMPFILE]))
    old = flags & ~(O_CREAT | O_TMPFILE)

    def opened(flags: int, mode: int) -> Answer:
        return made.answer(number, [*given[:place], flags, mode, *given[place + 2 :]])

    assert opened(flags | new, mode | SETUID) == EPERM
    assert opened(flags | new, mode & ~SETUID) == ALLOWED
    # Without a new file the mode is whatever is in the register.
    assert opened(old, mode | SETUID) == ALLOWED


@given(filters(files_are_mounts=False), arguments, st.data())
def test_changes_of_modes_owners_and_times_are_pretended_without_mounts(
    made: Filter, given: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(sorted(pretended(made.name).values())))
    assert made.answer(number, given) == 0


@given(filters(files_are_mounts=True), arguments, st.data())
def test_changes_of_owners_and_times_are_made_where_mounts_protect_files(
    made: Filter, given: list[int], data: st.DataObject
) -> None:
    modes = {number for number, _ in calls._MODE[made.name].values()}
    number = data.draw(st.sampled_from(sorted({*pretended(made.name).values()} - modes)))
    assert made.answer(number, given) == ALLOWED


@given(filters(), arguments, st.data())
def test_attributes_of_files_are_not_supported_without_mounts(
    made: Filter, given: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(sorted(unsupported(made.name).values())))
    assert made.answer(number, given) == (ALLOWED if made.files_are_mounts else ENOTSUP)


@given(filters(), arguments)
def test_no_folder_is_watched_without_mounts(made: Filter, given: list[int]) -> None:
    assert made.answer(calls._WATCH[made.name], given) == (ALLOWED if made.files_are_mounts else EACCES)


@given(filters(), arguments, halves, st.sampled_from(b"fvX\x94\xf5"))
@example(Filter("x86_64", (), False, True, ()), [0] * 6, 0x40080002, ord("v"))  # FS_IOC_SETVERSION
def test_file_systems_are_asked_for_nothing_without_mounts(
    made: Filter, given: list[int], request: int, kind: int
) -> None:
    request = request & ~0xFF00 | kind << 8
    assume(request not in calls._IOCTLS)
    expected = ALLOWED if made.files_are_mounts else ENOTTY
    assert made.answer(calls._IOCTL[made.name], [given[0], request, *given[2:]]) == expected


@given(filters(), arguments, st.integers(0x8910, 0x89FF))
def test_network_interfaces_are_told_of_only_with_a_network(made: Filter, given: list[int], request: int) -> None:
    expected = ALLOWED if made.files_are_mounts or made.families == FAMILIES else EPERM
    assert made.answer(calls._IOCTL[made.name], [given[0], request, *given[2:]]) == expected


@given(filters(), arguments, halves)
@example(Filter("x86_64", (), False, True, ()), [0] * 6, 4)
def test_no_process_hides_from_who_looks_after_limits(made: Filter, given: list[int], option: int) -> None:
    expected = 0 if option == 4 and not made.files_are_mounts else ALLOWED
    assert made.answer(calls._PRCTL[made.name], [option, *given[1:]]) == expected


@given(filters(), arguments, st.data())
def test_what_programs_of_a_user_share_is_refused_without_mounts(
    made: Filter, given: list[int], data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(sorted(calls._SHARED[made.name].values())))
    assert made.answer(number, given) == (ALLOWED if made.files_are_mounts else EPERM)


@given(filters(), arguments)
def test_files_are_not_cut_where_nothing_else_sees_to_it(made: Filter, given: list[int]) -> None:
    allowed = made.files_are_mounts or made.truncates
    assert made.answer(calls._TRUNCATE[made.name], given) == (ALLOWED if allowed else EPERM)


@given(filters(), arguments, halves, st.data())
def test_no_file_is_cut_by_opening_it_for_anything_but_writing(
    made: Filter, given: list[int], flags: int, data: st.DataObject
) -> None:
    number, place = data.draw(st.sampled_from(sorted(calls._OPEN[made.name].values())))
    given[place + 1] = EXECUTABLE
    sees_to_it = made.files_are_mounts or made.truncates or flags & O_ACCMODE in (O_WRONLY, O_RDWR)
    given[place] = flags | O_TRUNC
    assert made.answer(number, given) == (ALLOWED if sees_to_it else EACCES)
    given[place] = flags & ~O_TRUNC
    assert made.answer(number, given) == ALLOWED


# -- signals

guarded = filters(protected=st.lists(pids, min_size=1, max_size=3, unique=True).map(tuple))


@given(guarded, arguments, halves, st.data())
def test_no_signal_goes_to_a_protected_process_its_group_or_everybody(
    made: Filter, rest: list[int], above: int, data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(calls._KILLS[made.name]))
    pid = data.draw(st.sampled_from(made.protected))
    for target in (pid, -pid, -1):
        # What is in the register above an `int` is anything.
        assert made.answer(number, [target % 2**32 | above << 32, *rest[1:]]) == EPERM


@given(guarded, arguments, st.integers(min_value=-(2**22), max_value=2**22), st.data())
def test_signals_to_other_processes_are_allowed(
    made: Filter, rest: list[int], target: int, data: st.DataObject
) -> None:
    assume(abs(target) not in made.protected and target != -1)
    number = data.draw(st.sampled_from(calls._KILLS[made.name]))
    assert made.answer(number, [target, *rest[1:]]) == ALLOWED


@given(filters(protected=st.just(())), arguments, st.data())
def test_every_signal_is_allowed_where_nobody_is_protected(made: Filter, given: list[int], data: st.DataObject) -> None:
    assert made.answer(data.draw(st.sampled_from(calls._KILLS[made.name])), given) == ALLOWED


@given(filters(), arguments)
def test_no_signal_goes_by_a_descriptor_where_some_are_protected(made: Filter, given: list[int]) -> None:
    """A filter can't see whose it is."""
    for number in (calls._PIDFD_OPEN, calls._PIDFD_SEND_SIGNAL):
        assert made.answer(number, given) == (ENOSYS if made.protected else ALLOWED)
