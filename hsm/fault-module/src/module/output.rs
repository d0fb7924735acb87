//! Output with a bit that is another one.

use cryptoki_sys::{CK_BYTE, CK_RV, CK_ULONG, CKR_OK};

use crate::Effect;
use crate::conduct::Turn;

/// Changes the last bit of what a call has given.
///
/// # Safety
/// If `value` is `CKR_OK`, `output` holds `length` octets, both are valid, and nobody else uses them.
pub(super) unsafe fn flip(turn: &Turn, value: CK_RV, output: *mut CK_BYTE, length: *mut CK_ULONG) {
    if !turn.has(Effect::Flip) || value != CKR_OK || output.is_null() || length.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    let length = unsafe { length.read() } as usize;
    // SAFETY: the same.
    let output = unsafe { std::slice::from_raw_parts_mut(output, length) };
    if let Some(last) = output.last_mut() {
        *last ^= 1;
    }
}
