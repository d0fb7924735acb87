//! The module that really works.

use std::path::PathBuf;
use std::sync::OnceLock;

use cryptoki_sys::{CK_FUNCTION_LIST, CK_RV, CKR_OK};
use libloading::Library;

use crate::REAL;

/// What `C_GetFunctionList` is.
type Entrance = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;

/// Its functions. Loaded at the first call; `None` where that failed, and standard error says why.
pub(super) fn functions() -> Option<&'static CK_FUNCTION_LIST> {
    static FUNCTIONS: OnceLock<Option<&'static CK_FUNCTION_LIST>> = OnceLock::new();
    *FUNCTIONS.get_or_init(|| match load() {
        Ok(functions) => Some(functions),
        Err(why) => {
            eprintln!("fault module: {why}");
            None
        }
    })
}

fn load() -> Result<&'static CK_FUNCTION_LIST, String> {
    let path = std::env::var_os(REAL)
        .map(PathBuf::from)
        .ok_or_else(|| format!("set {REAL} to the path of the real PKCS#11 module"))?;
    let told = |cause: libloading::Error| format!("{} cannot be used: {cause}", path.display());
    // SAFETY: whoever names a module has its initialisers run, as any program that loads it would.
    let library = unsafe { Library::new(&path) }.map_err(told)?;
    // It stays, and with it everything below (3).
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: the standard says which type the function of this name has.
    let entrance = unsafe { library.get::<Entrance>(b"C_GetFunctionList\0") }.map_err(told)?;
    let mut functions = std::ptr::null_mut();
    // SAFETY: the standard lets it be called at any time, with a place for a pointer.
    let value = unsafe { entrance(&raw mut functions) };
    if value != CKR_OK || functions.is_null() {
        return Err(format!("{}: C_GetFunctionList answered {value:#x}", path.display()));
    }
    // SAFETY: not null, the real module's constant, and never unloaded (3).
    Ok(unsafe { &*functions })
}
