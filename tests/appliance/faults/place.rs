//! Where tokens lie, and other programs that reach into them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Appliance, Said, text};

/// A token of an appliance, as other programs see it.
pub struct TokenPlace<'a> {
    appliance: &'a Appliance,
    role: &'static str,
    /// The one folder of the token.
    pub folder: PathBuf,
}

impl<'a> TokenPlace<'a> {
    pub fn of(appliance: &'a Appliance, role: &'static str) -> Self {
        let folders = std::fs::read_dir(appliance.tokens(role)).unwrap();
        let mut folders: Vec<_> =
            folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1);
        Self { appliance, role, folder: folders.remove(0) }
    }

    /// Beside the folder that the module searches: out of its sight, on the same file system.
    pub fn aside(&self) -> PathBuf {
        self.appliance.root().join("lib/tokens").join(format!("{}.aside", self.role))
    }

    pub fn take_away(&self) {
        std::fs::rename(&self.folder, self.aside()).unwrap();
    }

    pub fn bring_back(&self) {
        std::fs::rename(self.aside(), &self.folder).unwrap();
    }

    /// The file with the PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.appliance.root().join("etc/pins").join(format!("{}.pin", self.role))
    }

    fn configuration(&self) -> PathBuf {
        self.appliance.root().join("lib/tokens").join(self.role).join("softhsm2.conf")
    }

    /// Another token with the label of this one, beside it or in its place.
    pub fn make_another(&self) {
        let uri = std::fs::read_to_string(self.appliance.config()).unwrap();
        let label = uri.split("pkcs11:token=").map(|rest| rest.split([';', '"']).next().unwrap());
        let label = label.skip(1).find(|label| label.ends_with(self.role)).unwrap();
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "another-so-pin", "--pin", "another-pin"])
            .env("SOFTHSM2_CONF", self.configuration())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs `pkcs11-tool` on the tokens in `folder`, logged in.
    pub fn pkcs11_tool(&self, folder: &Path, words: &[&str]) -> Said {
        self.pkcs11_tool_command(folder, words).output().unwrap().into()
    }

    pub fn pkcs11_tool_command(&self, folder: &Path, words: &[&str]) -> Command {
        let configuration = self.appliance.file(&format!("{}-other.conf", self.role));
        let text_of = format!("directories.tokendir = {}\nlog.level = ERROR\n", text(folder));
        std::fs::write(&configuration, text_of).unwrap();
        let pin = std::fs::read_to_string(self.pin_file()).unwrap();
        let module = std::env::var("SOFTHSM2_MODULE")
            .unwrap_or_else(|_| "/usr/lib/softhsm/libsofthsm2.so".to_owned());
        let mut command = Command::new("pkcs11-tool");
        command
            .args(["--module", &module, "--login", "--pin", pin.trim()])
            .args(words)
            .env("SOFTHSM2_CONF", configuration);
        command
    }

    /// `CKA_ID` of the first private key in `folder`.
    pub fn key_id(&self, folder: &Path) -> String {
        self.id_of(folder, "privkey")
    }

    /// `CKA_ID` of the first object of this kind in `folder`.
    pub fn id_of(&self, folder: &Path, kind: &str) -> String {
        let said = self.pkcs11_tool(folder, &["--list-objects", "--type", kind]);
        let id = said.stdout.lines().find_map(|line| line.trim().strip_prefix("ID:"));
        id.unwrap_or_else(|| panic!("no key: {said:?}")).trim().to_owned()
    }

    /// `CKA_ID` of the key that seals, which stands beside the one that wraps.
    pub fn id_of_sealing_key(&self, folder: &Path) -> String {
        let said = self.pkcs11_tool(folder, &["--list-objects", "--type", "secrkey"]);
        let mut sealing = false;
        for line in said.stdout.lines().map(str::trim) {
            if let Some(label) = line.strip_prefix("label:") {
                sealing = label.contains("sealing key");
            }
            if let Some(id) = line.strip_prefix("ID:")
                && sealing
            {
                return id.trim().to_owned();
            }
        }
        panic!("no sealing key: {said:?}")
    }

    /// Deletes both halves of a key.
    pub fn delete_key(&self, folder: &Path, id: &str) {
        for kind in ["privkey", "pubkey"] {
            let words = ["--delete-object", "--type", kind, "--id", id];
            let said = self.pkcs11_tool(folder, &words);
            assert_eq!(said.status, 0, "{said:?}");
        }
    }
}

/// A copy of a folder, with everything in it.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
