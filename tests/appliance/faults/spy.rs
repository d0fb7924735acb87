//! What the module was asked: OpenSC's `pkcs11-spy.so` stands before SoftHSM and writes down each
//! call with its answer. SoftHSM itself counts no wrong PIN.

use std::path::{Path, PathBuf};

use crate::harness::{Appliance, text};

/// Each role, the service that uses its token, and the table of the configuration.
const TOKENS: [(&str, &str); 2] = [("vmcad", "ca.token"), ("vmafdd", "vecs.token")];

/// What was written down so far, one text for each service.
pub struct Spy(Vec<PathBuf>);

impl Spy {
    /// Puts the spy before both tokens, before the services start. `None` where it is not installed.
    pub fn on(appliance: &Appliance) -> Option<Self> {
        let Some(spy) = module() else {
            eprintln!(
                "LOUD: no pkcs11-spy.so (Debian package opensc), so PIN tries are NOT counted"
            );
            return None;
        };
        let config = std::fs::read_to_string(appliance.config()).unwrap();
        let mut written = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        let mut table = "";
        let mut real = "";
        for line in config.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = name;
            }
            let service = TOKENS.iter().find(|(_, token)| {
                table == *token || table.strip_suffix(".environment") == Some(*token)
            });
            match (service, line.strip_prefix("module = ")) {
                (Some(_), Some(module)) => {
                    real = module;
                    lines.push(format!("module = \"{}\"", text(&spy)));
                }
                _ => lines.push(line.to_owned()),
            }
            if let Some((service, token)) = service
                && line == format!("[{token}.environment]")
            {
                // The run folder, which a confined service may write.
                let place = appliance.root().join("run").join(format!("{service}.spy"));
                lines.push(format!("PKCS11SPY = {real}"));
                lines.push(format!("PKCS11SPY_OUTPUT = \"{}\"", text(&place)));
                written.push(place);
            }
        }
        for (_, token) in TOKENS {
            // What the spy needs beyond SoftHSM itself: its file, and SoftHSM behind it.
            let folder = std::path::Path::new(real.trim_matches('"')).parent().unwrap();
            lines.push(format!("[{token}.sandbox]"));
            lines.push(format!("read = [\"{}\"]", text(folder)));
            lines.push(format!("write = [\"{}\"]", text(&appliance.root().join("run"))));
        }
        assert_eq!(written.len(), TOKENS.len(), "the configuration has another form:\n{config}");
        std::fs::write(appliance.config(), lines.join("\n") + "\n").unwrap();
        Some(Self(written))
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        let read = |place: &PathBuf| std::fs::read(place).unwrap_or_default();
        self.0.iter().map(move |place| String::from_utf8_lossy(&read(place)).into_owned())
    }

    /// How often a token said that a PIN is wrong.
    pub fn wrong_pins(&self) -> usize {
        // One call of fprintf each, so that threads do not tear them.
        let answers = ["CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"];
        self.texts()
            .map(|text| answers.map(|answer| text.matches(answer).count()).iter().sum::<usize>())
            .sum()
    }

    /// Whether calls of every service were seen at all: a blind spy counts nothing.
    pub fn saw_logins(&self) -> bool {
        self.texts().all(|text| text.contains("C_Login"))
    }

    /// The bounds on the number of sessions that the tokens tell.
    pub fn session_bounds(&self) -> Vec<u64> {
        self.texts()
            .flat_map(|text| {
                let told = text.lines().filter_map(|line| {
                    line.trim().strip_prefix("ulMaxSessionCount:")?.trim().parse().ok()
                });
                told.collect::<Vec<u64>>()
            })
            .collect()
    }
}

fn module() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path()).collect();
    folders.push(Path::new("/usr/lib64").to_owned());
    folders.into_iter().map(|folder| folder.join("pkcs11-spy.so")).find(|path| path.exists())
}
