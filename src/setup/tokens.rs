//! The two tokens.

use std::path::{Path, PathBuf};

use hsm::{Pin, PinSource, TokenUri};

use super::progress::Progress;
use super::softhsm::{self, Home, find_module};
use super::step::Done;
use super::{Cause, files};
use crate::base::Layout;
use crate::cli::sealwright::TokenChoice;
use crate::config::{TokenRole, TokenSection};
use crate::workshop::WorkshopProcess;

/// Makes the token of a role, or looks at the one that was chosen. The section that comes back names
/// it by label and serial number.
pub(super) fn token(
    layout: &Layout,
    role: TokenRole,
    choice: &TokenChoice,
    progress: &mut Progress,
) -> Result<(TokenSection, Done), Cause> {
    match choice {
        TokenChoice::NewSoftHsm { module: Some(module) } => {
            new_token(layout, role, module, progress)
        }
        TokenChoice::NewSoftHsm { module: None } => {
            new_token(layout, role, &find_module()?, progress)
        }
        TokenChoice::Existing { module, uri, pin, environment } => {
            let pin = match pin {
                PinSource::File(path) => PinSource::File(from_anywhere(path)),
                other => other.clone(),
            };
            let mut section =
                TokenSection::new(from_anywhere(module), uri.to_string(), pin.to_string());
            section.environment.clone_from(environment);
            tell_of_prompt(role, &section);
            let identity = WorkshopProcess::start(layout, role, &section)?.identity()?;
            let found = format!("{}, serial {}", identity.label, identity.serial);
            if identity.manufacturer == softhsm::MANUFACTURER {
                softhsm::complete(&mut section);
            }
            section.uri = by_label_and_serial(identity);
            Ok((section, Done::Found(found)))
        }
    }
}

fn new_token(
    layout: &Layout,
    role: TokenRole,
    module: &Path,
    progress: &mut Progress,
) -> Result<(TokenSection, Done), Cause> {
    let folder = layout.token_home(role.name());
    let home = Home(&folder);
    let label = format!("sealwright-{role}");
    let so_pin = layout.pins().join(format!("{role}-so.pin"));
    let user_pin = layout.pins().join(format!("{role}.pin"));
    let pin = PinSource::File(user_pin.clone()).to_string();
    let mut section = TokenSection::new(module.to_owned(), format!("pkcs11:token={label}"), pin);
    section
        .environment
        .insert("SOFTHSM2_CONF".to_owned(), home.configuration().display().to_string());
    section.directory = Some(home.tokens());
    if let Some(uri) = progress.token(role) {
        section.uri.clone_from(uri);
        return Ok((section, Done::Found(uri.clone())));
    }
    home.wait_for_workshop()?;
    let aside = home.put_aside()?;
    home.make()?;
    for file in [&so_pin, &user_pin] {
        random_pin(file)?;
    }
    let identity = WorkshopProcess::start(layout, role, &section)?.create_token(
        &label,
        &PinSource::File(so_pin),
        &PinSource::File(user_pin),
    )?;
    let mut made = format!("made, {}, serial {}", identity.label, identity.serial);
    if let Some(aside) = aside {
        made.push_str(&format!("; an unfinished one was put aside: {}", aside.display()));
    }
    section.uri = by_label_and_serial(identity);
    *progress.token(role) = Some(section.uri.clone());
    progress.save(layout)?;
    Ok((section, Done::Made(made)))
}

/// Services do not run in the folder that the set-up was started in. A bare name stays: the system's
/// loader looks for it.
fn from_anywhere(path: &Path) -> PathBuf {
    match path.components().count() {
        1 if !path.exists() => path.to_owned(),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// A prompt alone does not say which of two tokens it is about.
fn tell_of_prompt(role: TokenRole, section: &TokenSection) {
    if section.pin == PinSource::Prompt.to_string() {
        eprintln!("The PIN of the {role} token is needed ({}).", section.uri);
    }
}

/// A PIN that nobody knows, in a file that only its owner reads.
fn random_pin(file: &Path) -> Result<(), Cause> {
    let pin = Pin::random()?;
    files::write_once(file, 0o600, &[pin.expose_secret().as_bytes(), b"\n"])?;
    Ok(())
}

/// A label alone could be given to another token. A token may have been left without one of them.
fn by_label_and_serial(identity: hsm::TokenIdentity) -> String {
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    TokenUri {
        label: told(identity.label),
        serial: told(identity.serial),
        manufacturer: None,
        model: None,
    }
    .to_string()
}
