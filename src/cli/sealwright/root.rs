//! Which appliance is meant.

use std::path::PathBuf;

use crate::base::Layout;

/// `--root`, otherwise `SEALWRIGHT_ROOT`, otherwise the system's places.
///
/// A relative folder is made absolute: the services get it on their command line and leave the
/// present folder.
pub(in crate::cli) fn layout(option: Option<PathBuf>) -> Layout {
    let variable = || std::env::var_os("SEALWRIGHT_ROOT").map(PathBuf::from);
    match option
        .or_else(variable)
        .filter(|root| !root.as_os_str().is_empty())
    {
        Some(root) => Layout::under(std::path::absolute(&root).unwrap_or(root)),
        None => Layout::system(),
    }
}
