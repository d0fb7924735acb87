//! Searches that find too much or too little, and attributes that are cut short.

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_ULONG, CK_UNAVAILABLE_INFORMATION,
    CKR_BUFFER_TOO_SMALL, CKR_OK,
};

use crate::Effect;
use crate::conduct::Turn;

/// Room for the whole of an attribute whose caller knows only a part.
const ROOM: usize = 64 * 1024;

/// # Safety
/// The contract of `C_FindObjectsInit`.
pub(super) unsafe fn search(
    real: unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_ATTRIBUTE, CK_ULONG) -> CK_RV,
    turn: &Turn,
    session: CK_SESSION_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    // SAFETY: the caller's own (1).
    let asked = unsafe { attributes(template, count) };
    if !asked.iter().any(|attribute| turn.ignores(attribute.type_)) {
        // SAFETY: as they came (2).
        return unsafe { real(session, template, count) };
    }
    let mut sought: Vec<CK_ATTRIBUTE> =
        asked.iter().filter(|attribute| !turn.ignores(attribute.type_)).copied().collect();
    // SAFETY: a copy of some of them (2); what they point to is the caller's.
    unsafe { real(session, sought.as_mut_ptr(), sought.len() as CK_ULONG) }
}

/// # Safety
/// The contract of `C_FindObjects`.
pub(super) unsafe fn found(
    real: unsafe extern "C" fn(
        CK_SESSION_HANDLE,
        *mut CK_OBJECT_HANDLE,
        CK_ULONG,
        *mut CK_ULONG,
    ) -> CK_RV,
    turn: &Turn,
    session: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    room: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    // SAFETY: as they came (2).
    let value = unsafe { real(session, objects, room, count) };
    // SAFETY: null, or filled by the module, which the caller does not look at yet (1).
    let (CKR_OK, Some(count)) = (value, (unsafe { count.as_mut() })) else { return value };
    if turn.has(Effect::Empty) {
        *count = 0;
    }
    if turn.has(Effect::Twice) && (1..room).contains(count) {
        // SAFETY: the module has written one there at least.
        let first = unsafe { objects.read() };
        // SAFETY: there is room for more than were found.
        let behind = unsafe { objects.add(*count as usize) };
        // SAFETY: the same.
        unsafe { behind.write(first) };
        *count += 1;
    }
    value
}

/// # Safety
/// The contract of `C_GetAttributeValue`.
pub(super) unsafe fn values(
    real: unsafe extern "C" fn(
        CK_SESSION_HANDLE,
        CK_OBJECT_HANDLE,
        *mut CK_ATTRIBUTE,
        CK_ULONG,
    ) -> CK_RV,
    turn: &Turn,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CK_RV {
    // SAFETY: the caller's own, not looked at before we return (1).
    let asked = unsafe { attributes(template, count) };
    if asked.iter().all(|attribute| turn.octets_of(attribute.type_).is_none()) {
        // SAFETY: as they came (2).
        return unsafe { real(session, object, template, count) };
    }
    // The caller made room for what it was told, which is less than the module wants to give.
    let mut rooms: Vec<Vec<u8>> = asked.iter().map(|_| Vec::new()).collect();
    let mut given = asked.to_vec();
    for (attribute, room) in given.iter_mut().zip(&mut rooms) {
        if turn.octets_of(attribute.type_).is_some() && !attribute.pValue.is_null() {
            room.resize(ROOM, 0);
            attribute.pValue = room.as_mut_ptr().cast();
            attribute.ulValueLen = ROOM as CK_ULONG;
        }
    }
    // SAFETY: a copy (2); what it points to is the caller's, or ours until the end of this function.
    let mut value = unsafe { real(session, object, given.as_mut_ptr(), count) };
    for ((attribute, given), room) in asked.iter_mut().zip(&given).zip(&rooms) {
        let length = match turn.octets_of(attribute.type_) {
            Some(bound) if given.ulValueLen != CK_UNAVAILABLE_INFORMATION => {
                given.ulValueLen.min(bound)
            }
            _ => given.ulValueLen,
        };
        if !room.is_empty() && length != CK_UNAVAILABLE_INFORMATION {
            if length > attribute.ulValueLen {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                value = CKR_BUFFER_TOO_SMALL;
                continue;
            }
            let value = attribute.pValue.cast::<u8>();
            // SAFETY: the caller has room for so many octets, ours holds them, and these are two places.
            unsafe { value.copy_from_nonoverlapping(room.as_ptr(), length as usize) };
        }
        attribute.ulValueLen = length;
    }
    value
}

/// # Safety
/// `template` is null, or points to `count` attributes that nobody else uses for as long as the slice lives.
unsafe fn attributes<'a>(template: *mut CK_ATTRIBUTE, count: CK_ULONG) -> &'a mut [CK_ATTRIBUTE] {
    if template.is_null() {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(template, count as usize) }
}
