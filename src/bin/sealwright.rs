//! `sealwright`: sets the appliance up and looks after it.

use std::process::ExitCode;

// Wipes every block of memory when it is freed, so that no secret stays behind.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    sealwright::setup::run(std::env::args_os())
}
