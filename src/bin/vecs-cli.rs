//! `vecs-cli`, on the appliance that `SEALWRIGHT_ROOT` or the system's places name.

use std::process::ExitCode;

use sealwright::cli::{place, vecs_cli};

#[global_allocator]
static WIPED_WHEN_FREED: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    vecs_cli::run(std::env::args_os(), &place::layout_from_environment())
}
