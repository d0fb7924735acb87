//! The service `vmafdd` with a fault on purpose; see the feature `deliberate-leak`.
#![allow(missing_docs)]

use std::process::ExitCode;

// Wipes every block of memory when it is freed, so that no secret stays behind.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    sealwright::daemon::vmafdd()
}
