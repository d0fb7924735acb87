//! The end of a control socket that listens: it knows the rules and counts the calls.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::faults::{Faults, Ticket};
use crate::{Effect, Function, Rule};

/// How often it is looked whether a process that hangs is still there.
const LOOK: Duration = Duration::from_millis(50);

/// A control socket. Everything that uses it shares rules and counts. The socket is removed when this is dropped.
pub struct Controller {
    path: PathBuf,
}

impl Controller {
    /// Begins to listen, with these rules in force.
    ///
    /// # Errors
    /// The socket cannot be made, for instance because there is something of that name.
    pub fn listen(path: &Path, rules: Vec<Rule>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let faults = Arc::new(Faults::default());
        rules.into_iter().for_each(|rule| faults.add(rule));
        std::thread::Builder::new().name("fault-control".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let faults = Arc::clone(&faults);
                // Whoever asked hears from a closed connection that something went wrong.
                let _unserved = std::thread::Builder::new().spawn(move || serve(stream, &faults));
            }
        })?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.path);
    }
}

/// Until the other end hangs up.
fn serve(stream: UnixStream, faults: &Faults) {
    let mut connection = Connection { reader: BufReader::new(stream), faults, inside: None };
    while let Ok(Some(answer)) = connection.next() {
        if connection.reader.get_mut().write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
    if let Some(function) = connection.inside {
        faults.abandon(function);
    }
}

struct Connection<'a> {
    reader: BufReader<UnixStream>,
    faults: &'a Faults,
    /// The call that a module is in. Each of its connections has one at a time.
    inside: Option<Function>,
}

impl Connection<'_> {
    /// The answer to the next line; `None` at the end.
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(match self.answer(line.trim()) {
            Ok(lines) => lines.iter().map(|line| format!("{line}\n")).collect::<String>() + "ok\n",
            Err(why) => format!("error {why}\n"),
        }))
    }

    fn answer(&mut self, line: &str) -> Result<Vec<String>, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "add" => {
                self.faults.add(rest.parse().map_err(|why: crate::NotARule| why.to_string())?);
            }
            "rules" => return Ok(self.faults.rules().iter().map(ToString::to_string).collect()),
            "clear" => self.faults.clear(),
            "release" => self.faults.release(),
            "reset" => self.faults.reset(),
            "counts" => {
                let told = |(function, count): (_, crate::Count)| {
                    let crate::Count { calls, inside, most } = count;
                    format!("{function} calls={calls} inside={inside} most={most}")
                };
                return Ok(self.faults.counts().into_iter().map(told).collect());
            }
            "enter" => return self.enter(rest),
            "leave" => self.leave(rest)?,
            _ => return Err(format!("'{word}' is nothing that can be asked here")),
        }
        Ok(Vec::new())
    }

    fn enter(&mut self, name: &str) -> Result<Vec<String>, String> {
        let function: Function = name.parse().map_err(|why: crate::NotARule| why.to_string())?;
        let (effects, ticket) = self.faults.enter(function);
        self.inside = Some(function);
        if effects.contains(&Effect::Hang) {
            self.hold(ticket)?;
        }
        let effects = effects.iter().filter(|effect| **effect != Effect::Hang);
        Ok(effects.map(ToString::to_string).collect())
    }

    fn leave(&mut self, words: &str) -> Result<(), String> {
        let read = words.split_once(" 0x").and_then(|(name, digits)| {
            Some((name.parse::<Function>().ok()?, u64::from_str_radix(digits, 16).ok()?))
        });
        let (function, value) = read.ok_or("'leave' takes a function and what it returned")?;
        if self.inside.take() != Some(function) {
            return Err(format!("nobody is in {function} on this connection"));
        }
        self.faults.leave(function, value);
        Ok(())
    }

    /// Keeps a call waiting until it is released, or its process is gone.
    fn hold(&mut self, ticket: Ticket) -> Result<(), String> {
        let stream = self.reader.get_mut();
        let looks = stream.set_nonblocking(true);
        let outcome = loop {
            if self.faults.wait(ticket, LOOK) {
                break Ok(());
            }
            match stream.read(&mut [0; 1]) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                _ => break Err("the process that hung is gone".to_owned()),
            }
        };
        looks.and(stream.set_nonblocking(false)).map_err(|cause| cause.to_string())?;
        outcome
    }
}
