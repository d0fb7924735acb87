//! `service-control`: starts, stops and shows the services.

use std::process::ExitCode;

// Wipes every block of memory when it is freed, so that no secret stays behind.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    sealwright::cli::service_control::run(std::env::args_os())
}
