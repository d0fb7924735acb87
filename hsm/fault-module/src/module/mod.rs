//! The module as C sees it. All unsafe code of the crate is here; the crate's page says what it rests on.

mod functions;
mod objects;
mod output;
mod real;
mod slots;

use cryptoki_sys::{CK_FUNCTION_LIST, CK_RV, CKR_ARGUMENTS_BAD, CKR_OK};

pub(crate) use functions::{GIVING, NAMES};

use crate::Function;
use crate::conduct::conduct;

/// The one symbol that a program looks up in a PKCS#11 module.
///
/// # Safety
/// `list` is null, or a place for a pointer.
// SAFETY: no other symbol of this name is linked into one program with this crate: real modules are loaded.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    conduct(Function::named("C_GetFunctionList"), |_| {
        if list.is_null() {
            return CKR_ARGUMENTS_BAD;
        }
        // Nobody writes into a function list; the standard only leaves the word out.
        let ours = (&raw const functions::LIST).cast_mut();
        // SAFETY: not null, and the caller's place for this (1).
        unsafe { list.write(ours) };
        CKR_OK
    })
}
