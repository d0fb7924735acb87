//! Peers that are run: a process for each certificate, or for a batch of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::authority::{Authority, PIN};
use super::{Peer, Rate};
use crate::appliance::text;
use crate::fault::{Outcome, While, fault};
use crate::plan::Plan;
use crate::processes;

/// Certificates that one run of `openssl ca` makes.
const BATCH: usize = 100;

/// A tool with everything that is the same in each run.
struct Tool<'a> {
    name: &'static str,
    how: &'static str,
    /// Why it is not there.
    missing: Option<String>,
    /// Certificates in one run.
    batch: usize,
    /// A run, by a worker with a folder of its own; where the (last) certificate will be.
    command: fn(&Authority, &Path) -> Outcome<(Command, PathBuf)>,
    authority: &'a Authority,
}

pub(super) fn all(authority: &Authority) -> Outcome<Vec<Box<dyn Peer + '_>>> {
    let engine = runs("openssl", &["engine", "pkcs11"]);
    let no_engine =
        (!engine).then(|| "Debian's libengine-pkcs11-openssl is not installed".to_owned());
    let no_certtool = (!runs("certtool", &["--version"]))
        .then(|| "Debian's gnutls-bin is not installed".to_owned());
    Ok(vec![
        Box::new(Tool {
            name: "openssl ca",
            how: "engine pkcs11, 100 requests a process, a process for each processor; a text file, no flush",
            missing: no_engine.clone(),
            batch: BATCH,
            command: openssl_ca,
            authority,
        }),
        Box::new(Tool {
            name: "openssl x509 -req",
            how: "engine pkcs11, a process each, one for each processor; nothing recorded",
            missing: no_engine,
            batch: 1,
            command: openssl_x509,
            authority,
        }),
        Box::new(Tool {
            name: "certtool (GnuTLS)",
            how: "PKCS#11 URI, a process each, one for each processor; nothing recorded",
            missing: no_certtool,
            batch: 1,
            command: certtool,
            authority,
        }),
    ])
}

impl Peer for Tool<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn how(&self) -> &'static str {
        self.how
    }

    fn measure(&self, plan: &Plan) -> Outcome<Rate> {
        if let Some(why) = &self.missing {
            return Ok(Err(why.clone()));
        }
        let workers = std::thread::available_parallelism()?.get();
        let (began, before) = (Instant::now(), processes::used_by_children()?);
        let runs = std::thread::scope(|scope| -> Outcome<usize> {
            let working: Vec<_> = (0..workers)
                .map(|number| scope.spawn(move || self.work(plan, number, began)))
                .collect();
            let mut runs = 0;
            for worker in working {
                runs += worker.join().ok().when("a worker failed")??;
            }
            Ok(runs)
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let used = processes::used_by_children()? - before;
        let count = (runs * self.batch) as f64;
        Ok(Ok((count / seconds, used.as_secs_f64() * 1e6 / count)))
    }
}

impl Tool<'_> {
    /// Runs again and again until the time is over, at least once; how often.
    fn work(&self, plan: &Plan, number: usize, began: Instant) -> Outcome<usize> {
        let folder = self.authority.folder.join(format!("worker{number}"));
        std::fs::create_dir_all(&folder)?;
        let configuration = self.authority.copy_of_token(&folder)?;
        let mut runs = 0;
        loop {
            let (mut command, certificate) = (self.command)(self.authority, &folder)?;
            let said = command
                .env("SOFTHSM2_CONF", &configuration)
                .stdin(Stdio::null())
                .output()
                .when(self.name)?;
            if !said.status.success() {
                return fault(String::from_utf8_lossy(&said.stderr));
            }
            runs += 1;
            if began.elapsed() >= plan.measured {
                self.authority.verify(&std::fs::read(&certificate).when(certificate.display())?)?;
                return Ok(runs);
            }
        }
    }
}

fn runs(program: &str, words: &[&str]) -> bool {
    let said = Command::new(program).args(words).stdin(Stdio::null()).output();
    said.is_ok_and(|said| said.status.success())
}

/// The URI with the PIN, as the engine wants it.
fn for_engine() -> String {
    format!("{};pin-value={PIN}", Authority::uri())
}

fn openssl(authority: &Authority) -> Command {
    let mut command = Command::new("openssl");
    command.env("PKCS11_MODULE_PATH", &authority.token.module);
    command
}

fn openssl_x509(authority: &Authority, folder: &Path) -> Outcome<(Command, PathBuf)> {
    let out = folder.join("x509.pem");
    let mut command = openssl(authority);
    command.args(["x509", "-req", "-engine", "pkcs11", "-CAkeyform", "engine", "-CAkey"]);
    command.args([&for_engine(), "-CA", text(&authority.certificate)?]);
    command.args(["-sha256", "-days", "365", "-copy_extensions", "copy"]);
    command.args(["-in", text(&authority.csrs[0])?, "-out", text(&out)?]);
    Ok((command, out))
}

fn certtool(authority: &Authority, folder: &Path) -> Outcome<(Command, PathBuf)> {
    let (out, template) = (folder.join("certtool.pem"), folder.join("template"));
    if !template.exists() {
        std::fs::write(&template, "expiration_days = 365\nhonor_crq_extensions\nsigning_key\n")?;
    }
    let mut command = Command::new("certtool");
    command.env("GNUTLS_PIN", PIN).arg("--provider").arg(&authority.token.module);
    command.args(["--generate-certificate", "--load-request", text(&authority.csrs[0])?]);
    command.args(["--load-ca-certificate", text(&authority.certificate)?]);
    command.args(["--load-ca-privkey", &Authority::uri(), "--hash", "sha256"]);
    command.args(["--template", text(&template)?, "--outfile", text(&out)?]);
    Ok((command, out))
}

fn openssl_ca(authority: &Authority, folder: &Path) -> Outcome<(Command, PathBuf)> {
    let (configuration, new) = (folder.join("ca.cnf"), folder.join("new"));
    if !configuration.exists() {
        std::fs::create_dir_all(&new)?;
        std::fs::write(folder.join("index.txt"), "")?;
        std::fs::write(folder.join("index.txt.attr"), "unique_subject = no\n")?;
        let place = folder.display();
        let text = format!(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = {place}/index.txt\nnew_certs_dir = {place}/new\n\
             rand_serial = yes\ndefault_md = sha256\ndefault_days = 365\nunique_subject = no\n\
             policy = any\ncopy_extensions = copy\n[any]\ncountryName = optional\n\
             stateOrProvinceName = optional\nlocalityName = optional\norganizationName = optional\n\
             organizationalUnitName = optional\ncommonName = supplied\n"
        );
        std::fs::write(&configuration, text)?;
    }
    // It reads and writes its whole list in each run: an empty one serves it best.
    std::fs::write(folder.join("index.txt"), "")?;
    let out = folder.join("ca.pem");
    let mut command = openssl(authority);
    command.args(["ca", "-batch", "-notext", "-config", text(&configuration)?]);
    command.args(["-engine", "pkcs11", "-keyform", "engine", "-keyfile", &for_engine()]);
    command.args(["-cert", text(&authority.certificate)?, "-out", text(&out)?, "-infiles"]);
    command.args(authority.csrs.iter().cycle().take(BATCH));
    Ok((command, out))
}
