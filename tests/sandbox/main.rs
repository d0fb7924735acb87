//! The sandbox of a token agent, tried from inside: every restriction in a process of its own that enters it, and a real
//! SoftHSM token that must work within.
//!
//! A sandbox is entered by a process with one thread, and libtest runs each test in a second one: so this program is its
//! own harness. It starts itself again for each case.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod agent;
mod cases;
mod parent;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(name) = world::case() {
        return world::child(&name);
    }
    let arguments = Arguments::from_args();
    let cases = cases::ALL
        .iter()
        .map(|case| Trial::test(case.name, move || parent::expect(case).map_err(Into::into)));
    let more = [
        Trial::test("a_sandboxed_process_looks_sandboxed_from_outside", || {
            parent::look_from_outside().map_err(Into::into)
        }),
        Trial::test("a_token_works_in_the_sandbox", || {
            agent::a_token_works();
            Ok(())
        }),
        Trial::test("an_agent_is_ended_by_what_is_not_on_the_list", || {
            agent::a_stray_agent_is_ended();
            Ok(())
        }),
    ];
    libtest_mimic::run(&arguments, cases.chain(more).collect()).exit_code()
}
