//! Where the module was built.

use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "libfault_module.so";

/// The module, as cargo built it with the program that asks: beside that program, or one folder up.
///
/// Where this crate is a dependency, its library is in `target/PROFILE/deps`, under a name without a hash, and so are
/// the programs of tests.
///
/// # Errors
/// It is in neither place.
pub fn library() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let places = program.ancestors().skip(1).take(2).map(|folder| folder.join(FILE));
    places.into_iter().find(|path| path.exists()).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "{FILE} is not beside {}: build it with `cargo build -p fault-module`",
                program.parent().unwrap_or(Path::new("")).display()
            ),
        )
    })
}
