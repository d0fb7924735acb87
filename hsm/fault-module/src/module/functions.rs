//! Every function of PKCS#11 2.40, from one table.
//!
//! An entry is the function with its arguments as in `pkcs11f.h`, and behind it what is special about it:
//!
//! - `slot(S)`: the argument S is the number of a slot, as we show it.
//! - `gives(O, L)`: octets come out at O, and their number at L. With a null O the caller asks only for the number, and
//!   such a call goes by uncounted: a network HSM is not asked for that.
//! - `by(F)`: F forwards it.

use cryptoki_sys::*;

use super::{C_GetFunctionList, objects, output, real, slots};
use crate::conduct::conduct;
use crate::{Function, NO_CONTROL};

/// One function of the real module, or what to answer where there is none.
fn real<F>(of: impl FnOnce(&'static CK_FUNCTION_LIST) -> Option<F>) -> Result<F, CK_RV> {
    of(real::functions().ok_or(NO_CONTROL)?).ok_or(CKR_FUNCTION_NOT_SUPPORTED)
}

macro_rules! forward {
    ($name:ident ($($argument:ident),*)) => {
        match real(|functions| functions.$name) {
            // SAFETY: the arguments of the same function, as they came (2); a slot's number is only a number.
            Ok(call) => unsafe { call($($argument),*) },
            Err(value) => value,
        }
    };
}

macro_rules! body {
    ($name:ident ($($argument:ident),*)) => {
        conduct(Function::named(stringify!($name)), |_| forward!($name($($argument),*)))
    };
    ($name:ident ($($argument:ident),*) slot($slot:ident)) => {
        conduct(Function::named(stringify!($name)), |_| {
            let $slot = slots::real($slot);
            forward!($name($($argument),*))
        })
    };
    ($name:ident ($($argument:ident),*) slot_by($slot:ident, $by:path)) => {
        conduct(Function::named(stringify!($name)), |turn| {
            let $slot = slots::real($slot);
            match real(|functions| functions.$name) {
                // SAFETY: the contract of the same function is the caller's (1).
                Ok(call) => unsafe { $by(call, turn, $($argument),*) },
                Err(value) => value,
            }
        })
    };
    ($name:ident ($($argument:ident),*) by($by:path)) => {
        conduct(Function::named(stringify!($name)), |turn| match real(|functions| functions.$name) {
            // SAFETY: the contract of the same function is the caller's (1).
            Ok(call) => unsafe { $by(call, turn, $($argument),*) },
            Err(value) => value,
        })
    };
    ($name:ident ($($argument:ident),*) gives($output:ident, $length:ident)) => {{
        if $output.is_null() {
            return forward!($name($($argument),*));
        }
        conduct(Function::named(stringify!($name)), |turn| {
            let value = forward!($name($($argument),*));
            // SAFETY: the call has just filled them, and the caller does not look yet (1).
            unsafe { output::flip(turn, value, $output, $length) };
            value
        })
    }};
}

/// `Some` for a function that gives octets.
macro_rules! given {
    ($name:ident gives $($rest:tt)*) => {
        Some(stringify!($name))
    };
    ($name:ident $($rest:tt)*) => {
        None
    };
}

macro_rules! functions {
    ($($name:ident ($($argument:ident: $type:ty),*) $($special:ident $what:tt)?;)*) => {
        /// The names of all of them.
        pub(crate) const NAMES: &[&str] = &["C_GetFunctionList", $(stringify!($name)),*];

        /// The names of those that give octets.
        pub(crate) const GIVING: &[Option<&str>] = &[$(given!($name $($special)?)),*];

        pub(super) static LIST: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: CK_VERSION { major: 2, minor: 40 },
            C_GetFunctionList: Some(C_GetFunctionList),
            $($name: Some($name)),*
        };

        $(
            #[allow(non_snake_case, clippy::too_many_arguments)]
            unsafe extern "C" fn $name($($argument: $type),*) -> CK_RV {
                body!($name($($argument),*) $($special $what)?)
            }
        )*
    };
}

type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;
type Octets = *mut CK_BYTE;
type Length = *mut CK_ULONG;
type Mechanism = *mut CK_MECHANISM;
type Template = *mut CK_ATTRIBUTE;

functions! {
    C_Initialize(arguments: CK_VOID_PTR) by(slots::initialise);
    C_Finalize(reserved: CK_VOID_PTR);
    C_GetInfo(info: *mut CK_INFO);
    C_GetSlotList(present: CK_BBOOL, list: *mut CK_SLOT_ID, count: Length) by(slots::list);
    C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) slot(slot);
    C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) slot_by(slot, slots::token);
    C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: Length) slot(slot);
    C_GetMechanismInfo(slot: CK_SLOT_ID, mechanism: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) slot(slot);
    C_InitToken(slot: CK_SLOT_ID, pin: Octets, length: CK_ULONG, label: Octets) slot(slot);
    C_InitPIN(session: Session, pin: Octets, length: CK_ULONG);
    C_SetPIN(session: Session, old: Octets, old_length: CK_ULONG, new: Octets, new_length: CK_ULONG);
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, told: CK_VOID_PTR, notify: CK_NOTIFY, session: *mut Session) slot(slot);
    C_CloseSession(session: Session);
    C_CloseAllSessions(slot: CK_SLOT_ID) slot(slot);
    C_GetSessionInfo(session: Session, info: *mut CK_SESSION_INFO) by(slots::session);
    C_GetOperationState(session: Session, state: Octets, length: Length) gives(state, length);
    C_SetOperationState(session: Session, state: Octets, length: CK_ULONG, cipher: Object, authentication: Object);
    C_Login(session: Session, user: CK_USER_TYPE, pin: Octets, length: CK_ULONG);
    C_Logout(session: Session);
    C_CreateObject(session: Session, template: Template, count: CK_ULONG, object: *mut Object);
    C_CopyObject(session: Session, object: Object, template: Template, count: CK_ULONG, copy: *mut Object);
    C_DestroyObject(session: Session, object: Object);
    C_GetObjectSize(session: Session, object: Object, size: Length);
    C_GetAttributeValue(session: Session, object: Object, template: Template, count: CK_ULONG) by(objects::values);
    C_SetAttributeValue(session: Session, object: Object, template: Template, count: CK_ULONG);
    C_FindObjectsInit(session: Session, template: Template, count: CK_ULONG) by(objects::search);
    C_FindObjects(session: Session, objects: *mut Object, room: CK_ULONG, count: Length) by(objects::found);
    C_FindObjectsFinal(session: Session);
    C_EncryptInit(session: Session, mechanism: Mechanism, key: Object);
    C_Encrypt(session: Session, data: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_EncryptUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_EncryptFinal(session: Session, output: Octets, given: Length) gives(output, given);
    C_DecryptInit(session: Session, mechanism: Mechanism, key: Object);
    C_Decrypt(session: Session, data: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DecryptUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DecryptFinal(session: Session, output: Octets, given: Length) gives(output, given);
    C_DigestInit(session: Session, mechanism: Mechanism);
    C_Digest(session: Session, data: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DigestUpdate(session: Session, part: Octets, length: CK_ULONG);
    C_DigestKey(session: Session, key: Object);
    C_DigestFinal(session: Session, output: Octets, given: Length) gives(output, given);
    C_SignInit(session: Session, mechanism: Mechanism, key: Object);
    C_Sign(session: Session, data: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_SignUpdate(session: Session, part: Octets, length: CK_ULONG);
    C_SignFinal(session: Session, output: Octets, given: Length) gives(output, given);
    C_SignRecoverInit(session: Session, mechanism: Mechanism, key: Object);
    C_SignRecover(session: Session, data: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_VerifyInit(session: Session, mechanism: Mechanism, key: Object);
    C_Verify(session: Session, data: Octets, length: CK_ULONG, signature: Octets, signature_length: CK_ULONG);
    C_VerifyUpdate(session: Session, part: Octets, length: CK_ULONG);
    C_VerifyFinal(session: Session, signature: Octets, length: CK_ULONG);
    C_VerifyRecoverInit(session: Session, mechanism: Mechanism, key: Object);
    C_VerifyRecover(session: Session, signature: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DigestEncryptUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DecryptDigestUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_SignEncryptUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_DecryptVerifyUpdate(session: Session, part: Octets, length: CK_ULONG, output: Octets, given: Length) gives(output, given);
    C_GenerateKey(session: Session, mechanism: Mechanism, template: Template, count: CK_ULONG, key: *mut Object);
    C_GenerateKeyPair(session: Session, mechanism: Mechanism, public: Template, public_count: CK_ULONG, private: Template, private_count: CK_ULONG, public_key: *mut Object, private_key: *mut Object);
    C_WrapKey(session: Session, mechanism: Mechanism, wrapping: Object, key: Object, output: Octets, given: Length) gives(output, given);
    C_UnwrapKey(session: Session, mechanism: Mechanism, unwrapping: Object, wrapped: Octets, length: CK_ULONG, template: Template, count: CK_ULONG, key: *mut Object);
    C_DeriveKey(session: Session, mechanism: Mechanism, base: Object, template: Template, count: CK_ULONG, key: *mut Object);
    C_SeedRandom(session: Session, seed: Octets, length: CK_ULONG);
    C_GenerateRandom(session: Session, octets: Octets, length: CK_ULONG);
    C_GetFunctionStatus(session: Session);
    C_CancelFunction(session: Session);
    C_WaitForSlotEvent(flags: CK_FLAGS, slot: *mut CK_SLOT_ID, reserved: CK_VOID_PTR) by(slots::event);
}
