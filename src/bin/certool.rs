//! `certool`, on the appliance that `SEALWRIGHT_ROOT` or the system's places name.

use std::process::ExitCode;

use sealwright::cli::{certool, place};

#[global_allocator]
static WIPED_WHEN_FREED: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    certool::run(std::env::args_os(), &place::layout_from_environment())
}
