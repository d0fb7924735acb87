//! A PKCS#11 module for tests. It forwards every call to a real module, and breaks what it is told to break: return
//! values, delays, hangs, crashes, cut attributes, objects found twice, slots that move, signatures with a bit flipped,
//! a PIN that locks. It counts every call. Never for production.
//!
//! The module is `libfault_module.so`; [`library`] says where it was built. It presents PKCS#11 2.40 (`C_GetFunctionList`).
//!
//! | Environment variable | Meaning |
//! |---|---|
//! | `SEALWRIGHT_FAULT_MODULE` | the real module's path |
//! | `SEALWRIGHT_FAULT_RULES` | [rules](Rule), with `;` between them, or the absolute path of a file of them, one a line. Each process counts for itself. |
//! | `SEALWRIGHT_FAULT_CONTROL` | a control socket instead: rules come and go while programs run |
//!
//! # Rules
//!
//! `FUNCTION EFFECT [skip=N] [count=N]`: the first N calls go by, the next N are hit; without `count`, all of them. Rules
//! that hit one call add up: `C_Sign delay=20` and `C_Sign flip` make a late, wrong signature. A call that asks only how long the output will be (its pointer is null) goes by, and is not
//! counted: a network HSM is not asked for that.
//!
//! | Effect | What happens |
//! |---|---|
//! | `answer=0x30` | this return value; the call is not forwarded |
//! | `answer-after=0x30` | forwarded, then this return value all the same |
//! | `delay=MS` | forwarded after so many milliseconds |
//! | `pace=MS` | the call takes so long in all, without work of this machine: a network HSM; sessions proceed side by side |
//! | `hang` | until it is released; without a control socket for ever |
//! | `abort`, `exit=CODE` | the process ends inside the call |
//! | `flip` | one bit of what comes out is another one (`C_Sign`, `C_Encrypt` and the like, `C_WrapKey`) |
//! | `truncate=ATTRIBUTE:N` | `C_GetAttributeValue` gives the first N octets of this attribute |
//! | `ignore=ATTRIBUTE` | `C_FindObjectsInit` searches without it, so that strangers are found |
//! | `twice` | `C_FindObjects` gives its first object once more |
//! | `empty` | `C_FindObjects` finds nothing; `C_GetSlotList` lists nothing |
//! | `renumber` | from this `C_Initialize` on, slots have other numbers |
//! | `pin-tries=N` | `C_Login` answers `CKR_PIN_LOCKED` after N wrong PINs, also in other processes, and `C_GetTokenInfo` shows the flags on the way there |
//! | `flags=0x40000` | `C_GetTokenInfo` shows these flags besides |
//!
//! # The control socket
//!
//! A Unix socket on which a [`Controller`] listens: in a test's own process, or as the program `fault-control serve`.
//! The module connects to it, so that it needs no right to listen, and asks before and after each call; rules and counts
//! therefore outlive the processes that crash, and are the same for all that use the socket. Where nobody listens, every
//! function answers [`NO_CONTROL`].
//!
//! It speaks lines. A program sends one, and gets some that end with `ok`, or one `error WHY`. [`Control`] is the client.
//!
//! | Line | Answer |
//! |---|---|
//! | `add RULE` | |
//! | `rules` | each rule, with what is left of its `skip` and `count` |
//! | `clear` | takes all rules away and releases what hangs |
//! | `release` | releases what hangs now |
//! | `counts` | a line for each function that was called: `C_Sign calls=12 inside=1 most=3` (at the moment, and at most) |
//! | `reset` | counts from zero; the rules stay |
//! | `enter FUNCTION` | from a module: what to do, or `none` |
//! | `leave FUNCTION VALUE` | from a module: what the call returned |
//!
//! # Why there is unsafe code, and why it is sound
//!
//! A PKCS#11 module is called from C and calls C: its functions take raw pointers, and nothing but the standard says what
//! lies behind them. All of that is in `module`; the rest of the crate forbids it. What is argued there rests on this:
//!
//! 1. The caller keeps the contract of PKCS#11: a pointer that it passes is null, or valid for what the function reads
//!    and writes there, and nobody else uses that memory during the call. We touch it within these bounds only, and
//!    what the real module writes only after it has answered `CKR_OK`.
//! 2. Arguments are handed on as they came, to the function of the same name in the real module. What we change is a
//!    copy of ours, which lives until the call has returned.
//! 3. The real module's function list is its own constant. The module is loaded once and never unloaded, so the list and
//!    the functions in it are there for as long as the process.
//! 4. No panic leaves a function: those are `extern "C"`, and the process ends instead.
//!
//! A real module that breaks the contract breaks us as it would break any program that loads it.

#![deny(unsafe_code)]

pub mod command;
mod conduct;
mod control;
mod controller;
mod faults;
mod function;
mod library;
mod line;
#[allow(unsafe_code)]
mod module;
mod rule;

pub use control::{Control, Counts};
pub use controller::Controller;
pub use faults::Count;
pub use function::Function;
pub use library::library;
pub use rule::{Effect, NotARule, Rule, rules};

/// The environment variable with the real module's path.
pub const REAL: &str = "SEALWRIGHT_FAULT_MODULE";
/// The environment variable with rules, or with the absolute path of a file of them.
pub const RULES: &str = "SEALWRIGHT_FAULT_RULES";
/// The environment variable with the path of the control socket.
pub const CONTROL: &str = "SEALWRIGHT_FAULT_CONTROL";

/// What every function answers where the module is not set up as this page says, or its control socket does not answer.
/// Standard error has the reason.
pub const NO_CONTROL: u64 = 0x8000_fa17;
