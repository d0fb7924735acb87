#![allow(clippy::unwrap_used)]
use seccompiler::TargetArch;

use serde_json::json;

use super::list::{self, Action, Rule};
use super::machine::{Call, Verdict, ask};
use super::{SOFTHSM, SystemCallName, SystemCalls, VENDOR, WRITING, name};

const TARGETS: [TargetArch; 2] = [TargetArch::x86_64, TargetArch::aarch64];

fn presets(also: &[&str]) -> [SystemCalls; 3] {
    let also: Vec<SystemCallName> =
        also.iter().map(|name| (*name).to_owned().try_into().unwrap()).collect();
    [
        SystemCalls::SoftHsm { also: also.clone() },
        SystemCalls::Vendor { also: also.clone() },
        SystemCalls::LogOnly { also },
    ]
}

#[test]
fn the_lists_compile_for_every_architecture() {
    for target in TARGETS {
        for writing in [false, true] {
            for preset in presets(&["socket", "clone3", "ptrace"]) {
                let programs = preset.programs(writing, target, 1).unwrap();
                assert!(
                    programs.len() > 1,
                    "{preset:?}: what is refused needs a filter of its own"
                );
                // The kernel takes at most 4096 instructions in a filter (BPF_MAXINSNS).
                assert!(programs.iter().all(|program| program.len() <= 4096), "{preset:?}");
            }
            assert!(SystemCalls::Off.programs(writing, target, 1).unwrap().is_empty());
        }
    }
}

#[test]
fn every_name_is_one_and_stands_once_for_one_purpose() {
    for text in [SOFTHSM, VENDOR, WRITING] {
        let rules = list::parse(text, 1).unwrap();
        for (at, rule) in rules.iter().enumerate() {
            assert!(
                TARGETS.iter().any(|target| name::is_known(&rule.name, *target)),
                "{} is no system call",
                rule.name
            );
            assert!(!rules[..at].contains(rule), "{rule:?} stands there twice");
        }
    }
}

/// What the kernel would answer to a call with these arguments.
fn answer(calls: &SystemCalls, target: TargetArch, name: &str, arguments: [u64; 6]) -> Verdict {
    let programs = calls.programs(false, target, OWN).unwrap();
    ask(&programs, target, &Call { number: number(name, target), arguments })
}

const OWN: u32 = 4711;

/// The number of a call, found by asking a filter that knows only this one.
fn number(name: &str, target: TargetArch) -> u32 {
    let rule = Rule::allow(name);
    let filter = super::filter(&json!("log"), &json!("allow"), std::iter::once(&rule)).unwrap();
    let program = [super::compile(&filter, target).unwrap()];
    (0..1024)
        .find(|number| {
            let call = Call { number: *number, arguments: [0; 6] };
            ask(&program, target, &call) == Verdict::Log
        })
        .unwrap()
}

/// What would undo the sandbox, leave the process, or reach another one.
const WAYS_OUT: &[&str] = &[
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "capset",
    "chown",
    "chroot",
    "clock_settime",
    "delete_module",
    "execve",
    "execveat",
    "fchown",
    "fchownat",
    "finit_module",
    "fork",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_load",
    "keyctl",
    "kill",
    "landlock_create_ruleset",
    "link",
    "linkat",
    "listen",
    "mknod",
    "mknodat",
    "mount",
    "move_mount",
    "munlockall",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "pivot_root",
    "prctl",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "rt_sigqueueinfo",
    "seccomp",
    "setgid",
    "setgroups",
    "setns",
    "setresgid",
    "setresuid",
    "setrlimit",
    "settimeofday",
    "setuid",
    "shmget",
    "swapoff",
    "swapon",
    "symlink",
    "symlinkat",
    "tkill",
    "umount2",
    "unshare",
    "userfaultfd",
    "vfork",
];

#[test]
fn every_way_out_ends_the_process() {
    let [softhsm, vendor, log] = presets(&[]);
    for target in TARGETS {
        for name in WAYS_OUT.iter().filter(|name| name::is_known(name, target)) {
            let asked = |calls| answer(calls, target, name, [0; 6]);
            assert_eq!(asked(&softhsm), Verdict::Kill, "{name} {target:?}");
            if *name != "shmget" {
                assert_eq!(asked(&vendor), Verdict::Kill, "{name} {target:?}");
            }
            assert_eq!(asked(&log), Verdict::Log, "{name} {target:?}");
        }
        // A number that no list can know.
        let unknown = Call { number: 4000, arguments: [0; 6] };
        let programs = softhsm.programs(false, target, OWN).unwrap();
        assert_eq!(ask(&programs, target, &unknown), Verdict::Kill);
        // The calls of another architecture have other numbers.
        let [one, other] = TARGETS;
        let stranger = if target == one { other } else { one };
        let read = Call { number: number("read", target), arguments: [0; 6] };
        assert_eq!(ask(&programs, stranger, &read), Verdict::Kill);
    }
}

#[test]
fn arguments_decide() {
    use Verdict::{Allow, Fail, Kill};
    let (eperm, eacces, enosys) = (1, 13, 38);
    let own = u64::from(OWN);
    let [softhsm, vendor, _] = presets(&[]);
    for (name, arguments, due, from_vendor) in [
        // Flags of clone: a thread; fork; vfork; a thread in a new user namespace.
        ("clone", [0x3d_0f00, 0, 0, 0, 0, 0], Allow, Allow),
        ("clone", [0x0120_0011, 0, 0, 0, 0, 0], Kill, Kill),
        ("clone", [0x4111, 0, 0, 0, 0, 0], Kill, Kill),
        ("clone", [0x103d_0f00, 0, 0, 0, 0, 0], Kill, Kill),
        ("clone3", [0; 6], Fail(enosys), Fail(enosys)),
        // Flags of openat: read; write; read and write; create; truncate; O_TMPFILE with write.
        ("openat", [0, 0, 0x8_0000, 0, 0, 0], Allow, Allow),
        ("openat", [0, 0, 1, 0, 0, 0], Fail(eacces), Fail(eacces)),
        ("openat", [0, 0, 2, 0, 0, 0], Fail(eacces), Fail(eacces)),
        ("openat", [0, 0, 0x40, 0, 0, 0], Fail(eacces), Fail(eacces)),
        ("openat", [0, 0, 0x200, 0, 0, 0], Fail(eacces), Fail(eacces)),
        ("openat", [0, 0, 0x41_0002, 0, 0, 0], Fail(eacces), Fail(eacces)),
        // Memory: data; code from a library; both at once; data that becomes code.
        ("mmap", [0, 0, 3, 0, 0, 0], Allow, Allow),
        ("mmap", [0, 0, 5, 0, 0, 0], Allow, Allow),
        ("mmap", [0, 0, 7, 0, 0, 0], Fail(eperm), Fail(eperm)),
        ("mprotect", [0, 0, 3, 0, 0, 0], Allow, Allow),
        ("mprotect", [0, 0, 5, 0, 0, 0], Fail(eperm), Fail(eperm)),
        // PR_SET_NAME; PR_SET_DUMPABLE; PR_SET_SECCOMP.
        ("prctl", [15, 0, 0, 0, 0, 0], Allow, Allow),
        ("prctl", [4, 1, 0, 0, 0, 0], Kill, Kill),
        ("prctl", [22, 0, 0, 0, 0, 0], Kill, Kill),
        // Signals: to this process; to another one.
        ("tgkill", [own, 0, 6, 0, 0, 0], Allow, Allow),
        ("tgkill", [own + 1, 0, 6, 0, 0, 0], Kill, Kill),
        ("kill", [own, 9, 0, 0, 0, 0], Allow, Allow),
        ("kill", [own + 1, 9, 0, 0, 0, 0], Kill, Kill),
        // Locks; F_SETOWN, F_SETSIG and F_SETOWN_EX, by which a descriptor sends signals.
        ("fcntl", [3, 7, 1, 0, 0, 0], Allow, Allow),
        ("fcntl", [3, 8, 1, 0, 0, 0], Fail(eperm), Fail(eperm)),
        ("fcntl", [3, 10, 9, 0, 0, 0], Fail(eperm), Fail(eperm)),
        ("fcntl", [3, 15, 1, 0, 0, 0], Fail(eperm), Fail(eperm)),
        // Limits: read; set; set from an address whose low half is zero.
        ("prlimit64", [0; 6], Allow, Allow),
        ("prlimit64", [0, 4, 1, 0, 0, 0], Kill, Kill),
        ("prlimit64", [own + 1, 0, 1 << 32, 0, 0, 0], Kill, Kill),
        // Devices: FIONBIO; TIOCSTI; a tape drive.
        ("ioctl", [0, 0x5421, 0, 0, 0, 0], Allow, Allow),
        ("ioctl", [2, 0x5412, 0, 0, 0, 0], Kill, Fail(eperm)),
        ("ioctl", [0, 0x4008_6d01, 0, 0, 0, 0], Kill, Allow),
        ("socket", [1, 2, 0, 0, 0, 0], Fail(eacces), Allow),
        ("connect", [0; 6], Kill, Allow),
    ] {
        for target in TARGETS {
            assert_eq!(answer(&softhsm, target, name, arguments), due, "{name} {arguments:x?}");
            assert_eq!(
                answer(&vendor, target, name, arguments),
                from_vendor,
                "{name} {arguments:x?}"
            );
        }
    }
}

#[test]
fn a_name_that_is_allowed_besides_is_not_refused_any_more() {
    let refused = |calls: &SystemCalls, writing, name: &str| {
        let rules = calls.rules(writing, 1).unwrap().unwrap();
        rules.iter().any(|rule| rule.name == name && rule.action != Action::Allow)
    };
    let [softhsm, vendor, _] = presets(&[]);
    let [widened, ..] = presets(&["socket"]);
    assert!(refused(&softhsm, false, "socket") && refused(&softhsm, false, "openat"));
    assert!(!refused(&widened, false, "socket") && refused(&widened, false, "openat"));
    assert!(!refused(&vendor, false, "socket") && refused(&vendor, false, "openat"));
    assert!(!refused(&softhsm, true, "openat"));
    assert!(refused(&vendor, true, "clone3"));
}

#[test]
fn lines_that_mean_nothing_are_not_taken() {
    for line in [
        "allow read",
        "read -- why",
        "allow -- why",
        "allow read -- ",
        "allow read 6=1 -- why",
        "allow read 0&1=2 -- why",
        "allow read 0=x -- why",
        "allow read 0&1=null -- why",
        "allow read 0=1 1=2 -- why",
        "EIO read -- why",
    ] {
        assert!(list::parse(line, 1).is_err(), "{line}");
    }
    let rules = list::parse("# a comment\n\nallow tgkill 0=own -- why\n", 77).unwrap();
    assert_eq!(rules, list::parse("allow tgkill 0=77 -- why", 1).unwrap());
}

#[test]
fn an_unknown_name_is_refused_with_the_way_out() {
    let refusal = SystemCallName::try_from("sokcet".to_owned()).unwrap_err().to_string();
    assert!(refusal.contains("'sokcet'") && refusal.contains("strace"), "{refusal}");
}
