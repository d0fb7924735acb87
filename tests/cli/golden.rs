//! Command-line behaviour as data: each `.toml` file is a story of commands and what they must do.
//!
//! ```toml
//! about = "One sentence."
//!
//! [environment]                      # for every step; SEALWRIGHT_ROOT is always set
//! NAME = "value"
//!
//! [[files]]                          # there before the first step
//! path = "a.cfg"
//! text = "Country = US\n"            # or hex = "fffe…", or size = 2000000, or link = "elsewhere"
//! mode = "0644"
//!
//! [[steps]]
//! run = ["certool", "--genkey", "--privkey=a.priv"]
//! stdin = "Y\n"
//! status = 0
//! stdout = "Status : Success\n"      # whole output; default: nothing
//! stdout-has = ["Success"]           # instead of stdout: parts that must be there
//! stdout-lacks = ["PRIVATE"]         # parts that must not be there
//! stdout-starts = "Alias"            # how it begins
//! stderr = "", stderr-has, …         # the same for standard error
//!   [[steps.files]]                  # after the step
//!   path = "a.priv"
//!   mode = "0600"
//!   absent = false
//!   text = "…"                       # or has = ["…"], starts = "…", ends = "…"
//! ```
//!
//! A tool of ours is named by its name; every other program is taken from the system (`openssl` and
//! `certtool` judge what we write). Every step runs in a folder of its own for the story. In every
//! text `{folder}` stands for that folder and `{root}` for the appliance's root folder.

#![allow(clippy::unwrap_used)]

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Where a story happens.
pub struct Place {
    /// Root folder of the appliance; `SEALWRIGHT_ROOT` of every step.
    pub root: PathBuf,
    /// Our tools: the word in `run`, and the program.
    pub tools: Vec<(&'static str, PathBuf)>,
    /// Whatever must live as long as the story: running services, temporary folders.
    pub keep: Box<dyn Any>,
}

/// Runs every story of a folder, each in the place that `place` makes for it (it gets the name of the
/// file without `.toml`), and fails with everything that was not as written.
pub fn run_folder(folder: &Path, mut place: impl FnMut(&str) -> Place) {
    let mut stories: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    stories.sort();
    assert!(!stories.is_empty(), "no story in {}", folder.display());
    let mut wrong = Vec::new();
    for path in &stories {
        let name = path.file_stem().unwrap().to_string_lossy();
        let text = fs::read_to_string(path).unwrap();
        let story: Story =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let place = place(&name);
        if let Err(what) = story.run(&place) {
            wrong.push(format!("{name} ({}): {what}", story.about));
        }
        drop(place.keep);
    }
    assert!(
        wrong.is_empty(),
        "{} of {} stories in {} failed:\n\n{}",
        wrong.len(),
        stories.len(),
        folder.display(),
        wrong.join("\n\n")
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    about: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<FileBefore>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBefore {
    path: String,
    text: Option<String>,
    hex: Option<String>,
    size: Option<usize>,
    link: Option<String>,
    folder: Option<bool>,
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Step {
    run: Vec<String>,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    status: i32,
    stdout: Option<String>,
    stdout_has: Option<Vec<String>>,
    stdout_lacks: Option<Vec<String>>,
    stdout_starts: Option<String>,
    stderr: Option<String>,
    stderr_has: Option<Vec<String>>,
    stderr_lacks: Option<Vec<String>>,
    stderr_starts: Option<String>,
    #[serde(default)]
    files: Vec<FileAfter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAfter {
    path: String,
    #[serde(default)]
    absent: bool,
    mode: Option<String>,
    text: Option<String>,
    has: Option<Vec<String>>,
    lacks: Option<Vec<String>>,
    starts: Option<String>,
    ends: Option<String>,
}

/// What is expected of a text.
struct Expected<'a> {
    whole: Option<&'a str>,
    has: Option<&'a [String]>,
    lacks: Option<&'a [String]>,
    starts: Option<&'a str>,
    ends: Option<&'a str>,
}

impl Story {
    fn run(&self, place: &Place) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let words = Words {
            folder: folder.display().to_string(),
            root: place.root.display().to_string(),
        };
        for file in &self.files {
            file.make(&folder, &words);
        }
        for (step, number) in self.steps.iter().zip(1..) {
            step.run(&folder, &words, &self.environment, place)
                .map_err(|what| format!("step {number}, {:?}: {what}", step.run))?;
        }
        Ok(())
    }
}

/// The placeholders.
struct Words {
    folder: String,
    root: String,
}

impl Words {
    fn fill(&self, text: &str) -> String {
        text.replace("{folder}", &self.folder)
            .replace("{root}", &self.root)
    }
}

impl FileBefore {
    fn make(&self, folder: &Path, words: &Words) {
        let path = folder.join(&self.path);
        if let Some(target) = &self.link {
            symlink(target, &path).unwrap();
            return;
        }
        if self.folder == Some(true) {
            fs::create_dir(&path).unwrap();
            return;
        }
        let content = match (&self.text, &self.hex, self.size) {
            (Some(text), None, None) => words.fill(text).into_bytes(),
            (None, Some(hex), None) => (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect(),
            (None, None, Some(size)) => vec![b'a'; size],
            _ => panic!("{}: give one of text, hex and size", self.path),
        };
        fs::write(&path, content).unwrap();
        if let Some(mode) = &self.mode {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

impl Step {
    fn run(
        &self,
        folder: &Path,
        words: &Words,
        environment: &BTreeMap<String, String>,
        place: &Place,
    ) -> Result<(), String> {
        let arguments: Vec<String> = self.run.iter().map(|word| words.fill(word)).collect();
        let ours = place
            .tools
            .iter()
            .find(|(name, _)| *name == arguments[0])
            .map(|(_, program)| program);
        let mut command = match ours {
            Some(program) => Command::new(program),
            None => Command::new(&arguments[0]),
        };
        let mut child = command
            .args(&arguments[1..])
            .current_dir(folder)
            .env("SEALWRIGHT_ROOT", &place.root)
            .envs(
                environment
                    .iter()
                    .map(|(name, value)| (name, words.fill(value))),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // A tool that reads nothing may be gone before it is given anything.
        let _ = child.stdin.take().unwrap().write_all(self.stdin.as_bytes());
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = || format!("\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}");

        if output.status.code() != Some(self.status) {
            return Err(format!(
                "{}, expected exit status {}{}",
                output.status,
                self.status,
                said()
            ));
        }
        // Other programs may say what they like unless the story cares.
        let silence = ours.map(|_| "");
        let out = Expected {
            whole: self.stdout.as_deref().or(silence.filter(|_| {
                self.stdout_has.is_none()
                    && self.stdout_lacks.is_none()
                    && self.stdout_starts.is_none()
            })),
            has: self.stdout_has.as_deref(),
            lacks: self.stdout_lacks.as_deref(),
            starts: self.stdout_starts.as_deref(),
            ends: None,
        };
        let err = Expected {
            whole: self.stderr.as_deref().or(silence.filter(|_| {
                self.stderr_has.is_none()
                    && self.stderr_lacks.is_none()
                    && self.stderr_starts.is_none()
            })),
            has: self.stderr_has.as_deref(),
            lacks: self.stderr_lacks.as_deref(),
            starts: self.stderr_starts.as_deref(),
            ends: None,
        };
        out.judge("stdout", &stdout, words)
            .and_then(|()| err.judge("stderr", &stderr, words))
            .map_err(|what| format!("{what}{}", said()))?;
        self.files
            .iter()
            .try_for_each(|file| file.judge(folder, words))
            .and_then(|()| nothing_half_done(folder))
    }
}

/// No temporary file of ours may be left, whatever happened.
fn nothing_half_done(folder: &Path) -> Result<(), String> {
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().ends_with(".new") {
            return Err(format!("{} was left behind", name.display()));
        }
    }
    Ok(())
}

impl FileAfter {
    fn judge(&self, folder: &Path, words: &Words) -> Result<(), String> {
        let path = folder.join(&self.path);
        if self.absent {
            return match path.symlink_metadata() {
                Ok(_) => Err(format!("{} must not be there", self.path)),
                Err(_) => Ok(()),
            };
        }
        let content = fs::read(&path).map_err(|error| format!("{}: {error}", self.path))?;
        let expected = Expected {
            whole: self.text.as_deref(),
            has: self.has.as_deref(),
            lacks: self.lacks.as_deref(),
            starts: self.starts.as_deref(),
            ends: self.ends.as_deref(),
        };
        expected.judge(&self.path, &String::from_utf8_lossy(&content), words)?;
        if let Some(mode) = &self.mode {
            let is = format!(
                "{:04o}",
                path.metadata().unwrap().permissions().mode() & 0o7777
            );
            if is != *mode {
                return Err(format!("{} has mode {is}, expected {mode}", self.path));
            }
        }
        Ok(())
    }
}

impl Expected<'_> {
    fn judge(&self, what: &str, is: &str, words: &Words) -> Result<(), String> {
        if let Some(whole) = self.whole.map(|text| words.fill(text))
            && is != whole
        {
            return Err(format!("{what} is {is:?}\n     expected {whole:?}"));
        }
        for part in self.has.unwrap_or_default() {
            let part = words.fill(part);
            if !is.contains(&part) {
                return Err(format!("{what} lacks {part:?}"));
            }
        }
        for part in self.lacks.unwrap_or_default() {
            let part = words.fill(part);
            if is.contains(&part) {
                return Err(format!("{what} has {part:?}"));
            }
        }
        if let Some(start) = self.starts.map(|text| words.fill(text))
            && !is.starts_with(&start)
        {
            return Err(format!(
                "{what} is {is:?}\n     and does not start with {start:?}"
            ));
        }
        if let Some(end) = self.ends.map(|text| words.fill(text))
            && !is.ends_with(&end)
        {
            return Err(format!(
                "{what} is {is:?}\n     and does not end with {end:?}"
            ));
        }
        Ok(())
    }
}
