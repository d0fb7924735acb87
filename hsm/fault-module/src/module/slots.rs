//! Slots under other numbers than the real module's.

use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::{
    CK_BBOOL, CK_FLAGS, CK_RV, CK_SESSION_HANDLE, CK_SESSION_INFO, CK_SLOT_ID, CK_TOKEN_INFO,
    CK_ULONG, CK_VOID_PTR, CKR_ARGUMENTS_BAD, CKR_OK,
};

use crate::Effect;
use crate::conduct::Turn;

/// How far the numbers are from the real ones in this process.
static MOVED: AtomicU64 = AtomicU64::new(0);
const STEP: u64 = 1000;

/// The number that the real module knows a slot by. One from before it moved is none of its.
pub(super) fn real(shown: CK_SLOT_ID) -> CK_SLOT_ID {
    shown.wrapping_sub(MOVED.load(Ordering::SeqCst))
}

fn shown(real: CK_SLOT_ID) -> CK_SLOT_ID {
    real.wrapping_add(MOVED.load(Ordering::SeqCst))
}

/// # Safety
/// The contract of `C_Initialize`.
pub(super) unsafe fn initialise(
    real: unsafe extern "C" fn(CK_VOID_PTR) -> CK_RV,
    turn: &Turn,
    arguments: CK_VOID_PTR,
) -> CK_RV {
    if turn.has(Effect::Renumber) {
        MOVED.fetch_add(STEP, Ordering::SeqCst);
    }
    // SAFETY: as it came (2).
    unsafe { real(arguments) }
}

/// # Safety
/// The contract of `C_GetSlotList`.
pub(super) unsafe fn list(
    real: unsafe extern "C" fn(CK_BBOOL, *mut CK_SLOT_ID, *mut CK_ULONG) -> CK_RV,
    turn: &Turn,
    present: CK_BBOOL,
    list: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    if turn.has(Effect::Empty) {
        if count.is_null() {
            return CKR_ARGUMENTS_BAD;
        }
        // SAFETY: not null, and where the caller awaits a count (1).
        unsafe { count.write(0) };
        return CKR_OK;
    }
    // SAFETY: as they came (2).
    let value = unsafe { real(present, list, count) };
    if value == CKR_OK && !list.is_null() {
        // SAFETY: the module has just written it.
        let count = unsafe { count.read() } as usize;
        // SAFETY: so many numbers were written there, and the caller does not look yet (1).
        let listed = unsafe { std::slice::from_raw_parts_mut(list, count) };
        listed.iter_mut().for_each(|slot| *slot = shown(*slot));
    }
    value
}

/// # Safety
/// The contract of `C_GetTokenInfo`; `slot` is the real number.
pub(super) unsafe fn token(
    real: unsafe extern "C" fn(CK_SLOT_ID, *mut CK_TOKEN_INFO) -> CK_RV,
    turn: &Turn,
    slot: CK_SLOT_ID,
    info: *mut CK_TOKEN_INFO,
) -> CK_RV {
    // SAFETY: as they came, but for the number (2).
    let value = unsafe { real(slot, info) };
    // SAFETY: null, or filled by the module, which the caller does not look at yet (1).
    if let (CKR_OK, Some(info)) = (value, unsafe { info.as_mut() }) {
        info.flags |= turn.flags();
    }
    value
}

/// # Safety
/// The contract of `C_GetSessionInfo`.
pub(super) unsafe fn session(
    real: unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_SESSION_INFO) -> CK_RV,
    _: &Turn,
    session: CK_SESSION_HANDLE,
    info: *mut CK_SESSION_INFO,
) -> CK_RV {
    // SAFETY: as they came (2).
    let value = unsafe { real(session, info) };
    // SAFETY: null, or filled by the module, which the caller does not look at yet (1).
    if let (CKR_OK, Some(info)) = (value, unsafe { info.as_mut() }) {
        info.slotID = shown(info.slotID);
    }
    value
}

/// # Safety
/// The contract of `C_WaitForSlotEvent`.
pub(super) unsafe fn event(
    real: unsafe extern "C" fn(CK_FLAGS, *mut CK_SLOT_ID, CK_VOID_PTR) -> CK_RV,
    _: &Turn,
    flags: CK_FLAGS,
    slot: *mut CK_SLOT_ID,
    reserved: CK_VOID_PTR,
) -> CK_RV {
    // SAFETY: as they came (2).
    let value = unsafe { real(flags, slot, reserved) };
    // SAFETY: null, or filled by the module, which the caller does not look at yet (1).
    if let (CKR_OK, Some(slot)) = (value, unsafe { slot.as_mut() }) {
        *slot = shown(*slot);
    }
    value
}
