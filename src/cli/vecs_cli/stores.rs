//! `store …`: stores and who may do what with them.

use serde::de::IgnoredAny;

use super::failure::Ending;
use super::vecs::Vecs;
use crate::api::vecs::{self as words, ChangePermission, NewStore, Permissions, Right};
use crate::cli::terminal::Terminal;

pub(super) fn list(vecs: &Vecs, terminal: &mut Terminal) -> Result<(), Ending> {
    let names: Vec<String> = vecs.get(words::STORES)?;
    if names.is_empty() {
        terminal.err("No stores found");
    }
    for name in names {
        terminal.out(&format!("{name}\n"));
    }
    Ok(())
}

pub(super) fn create(name: String, vecs: &Vecs, terminal: &mut Terminal) -> Result<(), Ending> {
    let store = NewStore { name };
    let IgnoredAny = vecs.post(words::STORES, &store)?;
    terminal.out(&format!("Successfully created store [{}]\n", store.name));
    Ok(())
}

pub(super) fn delete(
    name: &str,
    confirmed: bool,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    if !confirmed {
        let question = format!(
            "Deleting store [{name}] deletes every entry in it for good. Continue? Y/N [N] "
        );
        agreed(&question, terminal)?;
    }
    let IgnoredAny = vecs.delete(&words::store(name))?;
    terminal.out(&format!("Successfully deleted store [{name}]\n"));
    Ok(())
}

/// Anything but a plain yes is a no.
pub(super) fn agreed(question: &str, terminal: &mut Terminal) -> Result<(), Ending> {
    match terminal.ask(question).as_str() {
        "Y" | "y" => Ok(()),
        _ => Err(Ending::NotConfirmed),
    }
}

pub(super) fn change_permission(
    name: &str,
    change: &ChangePermission,
    vecs: &Vecs,
    terminal: &mut Terminal,
) -> Result<(), Ending> {
    let IgnoredAny = vecs.post(&words::permissions(name), change)?;
    // Two blanks before the last word, and one after the line: the original's.
    terminal.out(&format!(
        "Permissions for store [{name}] set  successfully\n "
    ));
    Ok(())
}

pub(super) fn permissions(name: &str, vecs: &Vecs, terminal: &mut Terminal) -> Result<(), Ending> {
    let permissions: Permissions = vecs.get(&words::permissions(name))?;
    terminal.out(&format!(
        "PERMISSIONS FOR STORE: [{name}]\nOWNER : {}\nUSER\t\tACCESS\n",
        permissions.owner
    ));
    for grant in permissions.grants {
        // `readkey` stands last, so that a script that looks for the original's words finds them
        // where they were.
        let rights: Vec<_> = [
            (Right::Read, "read"),
            (Right::Write, "write"),
            (Right::ReadKey, "readkey"),
        ]
        .into_iter()
        .filter(|(right, _)| grant.rights.contains(right))
        .map(|(_, word)| word)
        .collect();
        terminal.out(&format!("{}\t{}\n", grant.user, rights.join(",")));
    }
    Ok(())
}
