//! For tests: what the kernel would answer, worked out for either architecture (seccomp(2), "struct seccomp_data").

use seccompiler::{BpfProgram, TargetArch};

/// The kernel's words for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Log,
    Fail(u32),
    Kill,
}

/// A call with its arguments.
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arguments: [u64; 6],
}

/// The strictest of all answers, as the kernel takes it.
pub(super) fn ask(programs: &[BpfProgram], target: TargetArch, call: &Call) -> Verdict {
    let strictness = |verdict: &Verdict| match verdict {
        Verdict::Allow => 0,
        Verdict::Log => 1,
        Verdict::Fail(_) => 2,
        Verdict::Kill => 3,
    };
    programs
        .iter()
        .map(|program| run(program, target, call))
        .max_by_key(strictness)
        .unwrap_or(Verdict::Allow)
}

fn run(program: &BpfProgram, target: TargetArch, call: &Call) -> Verdict {
    let mut data = vec![call.number, audit(target), 0, 0];
    data.extend(call.arguments.iter().flat_map(|whole| [*whole as u32, (*whole >> 32) as u32]));
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = &program[at];
        at += 1;
        let jump = |condition| usize::from(if condition { step.jt } else { step.jf });
        match step.code {
            // BPF_LD | BPF_W | BPF_ABS
            0x20 => accumulator = data[step.k as usize / 4],
            // BPF_ALU | BPF_AND | BPF_K
            0x54 => accumulator &= step.k,
            // BPF_JMP with BPF_JA, BPF_JEQ, BPF_JGT, BPF_JGE
            0x05 => at += step.k as usize,
            0x15 => at += jump(accumulator == step.k),
            0x25 => at += jump(accumulator > step.k),
            0x35 => at += jump(accumulator >= step.k),
            // BPF_RET | BPF_K
            0x06 => return verdict(step.k),
            other => panic!("instruction {other:#x} is not known"),
        }
    }
}

/// `AUDIT_ARCH_*`
fn audit(target: TargetArch) -> u32 {
    match target {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    }
}

/// `SECCOMP_RET_*`
fn verdict(answer: u32) -> Verdict {
    match (answer & 0xffff_0000, answer & 0xffff) {
        (0x7fff_0000, _) => Verdict::Allow,
        (0x7ffc_0000, _) => Verdict::Log,
        (0x0005_0000, error) => Verdict::Fail(error),
        (0x8000_0000, _) => Verdict::Kill,
        _ => panic!("answer {answer:#x} is not known"),
    }
}
