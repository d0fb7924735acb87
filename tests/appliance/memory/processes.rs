//! The memory of processes, read from outside as root may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::process::Signal;

use super::canary::Search;
use crate::harness::{Appliance, program, text};

/// Octets read at a time.
const CHUNK: usize = 1024 * 1024;

/// A process of an appliance.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    /// Its program, and the service that it is a child of, if it is one.
    pub name: String,
}

/// Where a form of a secret was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub secret: String,
    pub process: String,
    pub mapping: String,
    pub form: String,
}

/// What was seen in processes.
#[derive(Debug, Default)]
pub struct Sight {
    /// Everything that was found, and in how many looks.
    pub hits: BTreeMap<Hit, usize>,
    /// Octets that were searched, by name of the process.
    pub searched: BTreeMap<String, usize>,
    /// Octets of pages that the kernel hides (`memfd_secret`), by name of the process.
    pub hidden: BTreeMap<String, usize>,
    /// Mappings that could not be read for another reason.
    pub unread: BTreeSet<String>,
    /// How often each process was looked at.
    pub looks: BTreeMap<String, usize>,
}

impl Sight {
    /// Looks at all processes of the appliance, once.
    pub fn of(appliance: &Appliance, search: &Search) -> Self {
        let mut sight = Self::default();
        sight.look(appliance, search);
        sight
    }

    pub fn look(&mut self, appliance: &Appliance, search: &Search) {
        for process in processes(appliance) {
            // A process that ends meanwhile holds nothing any more.
            let _ended = self.look_at(&process, search);
        }
    }

    pub fn look_at(&mut self, process: &Process, search: &Search) -> std::io::Result<()> {
        let Process { pid, name } = process;
        // What the process does at this moment stays as it is until all of it was seen.
        let _stopped = Stopped::new(*pid);
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let overlap = search.longest() - 1;
        *self.looks.entry(name.clone()).or_default() += 1;
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            let mapping = words.nth(3).unwrap_or("anonymous");
            // Code is as it is in the program's file; the kernel's own pages are no memory of the process.
            if !rights.starts_with('r') || rights.contains('x') || mapping.starts_with("[vv") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            let length = usize::try_from(end - start).unwrap();
            if mapping.starts_with("/secretmem") {
                let mut octet = [0];
                let refused = memory.read_exact_at(&mut octet, start);
                // EIO; or the mapping is gone, which is EIO too.
                assert!(refused.is_err(), "{name}: hidden pages can be read");
                *self.hidden.entry(name.clone()).or_default() += length;
                continue;
            }
            let mut content = vec![0; CHUNK + overlap];
            let mut at = 0;
            while at < length {
                let wanted = (length - at).min(content.len());
                let Ok(read) = memory.read_at(&mut content[..wanted], start + at as u64) else {
                    // Unmapped since the list was made, or a mapping that cannot be read.
                    if fs::read_to_string(format!("/proc/{pid}/maps"))?.contains(range) {
                        self.unread.insert(format!("{mapping} of {name}"));
                    }
                    break;
                };
                for (secret, form) in search.found_in(&content[..read]) {
                    let hit = Hit {
                        secret: secret.to_owned(),
                        process: name.clone(),
                        mapping: mapping.to_owned(),
                        form: form.to_owned(),
                    };
                    *self.hits.entry(hit).or_default() += 1;
                }
                *self.searched.entry(name.clone()).or_default() += read;
                // What begins at the end of this part is found in the next one.
                at += match read {
                    _ if at + read == length => read,
                    _ if read > overlap => read - overlap,
                    _ => break,
                };
            }
        }
        Ok(())
    }

    /// The processes in which something was found.
    pub fn holders(&self) -> BTreeSet<&str> {
        self.hits.keys().map(|hit| &hit.process[..]).collect()
    }
}

/// A process that stands still.
pub struct Stopped(rustix::process::Pid);

impl Stopped {
    pub fn new(pid: i32) -> Option<Self> {
        let pid = rustix::process::Pid::from_raw(pid)?;
        rustix::process::kill_process(pid, Signal::STOP).ok()?;
        Some(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ended = rustix::process::kill_process(self.0, Signal::CONT);
    }
}

/// Every process of the appliance: services, their children however deep, and tools.
pub fn processes(appliance: &Appliance) -> Vec<Process> {
    let root = appliance.root();
    let mut parents = BTreeMap::new();
    let mut ours = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        // The name of a program may hold anything; the last bracket ends it.
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        parents.insert(pid, parent.unwrap_or(0));
        let Ok(exe) = fs::read_link(entry.path().join("exe")) else { continue };
        let exe = exe.file_name().unwrap().to_string_lossy().into_owned();
        let mentions =
            |octets: &[u8]| memchr::memmem::find(octets, text(&root).as_bytes()).is_some();
        if is_ours(&exe) && (mentions(&read("environ")) || mentions(&read("cmdline"))) {
            ours.insert(pid, exe);
        }
    }
    let mut found = Vec::new();
    for pid in parents.keys() {
        let lineage: Vec<i32> = std::iter::successors(Some(*pid), |pid| {
            parents.get(pid).copied().filter(|parent| *parent > 1)
        })
        .collect();
        let Some(own) = ours.get(pid) else {
            // A child that cleared its environment, or runs another program.
            if let Some(parent) = lineage.iter().find_map(|ancestor| ours.get(ancestor)) {
                found.push(Process { pid: *pid, name: format!("child of {parent}") });
            }
            continue;
        };
        let service = lineage[1..].iter().find_map(|ancestor| ours.get(ancestor));
        let name = service.map_or_else(|| own.clone(), |service| format!("{own} of {service}"));
        found.push(Process { pid: *pid, name });
    }
    found
}

fn is_ours(exe: &str) -> bool {
    let folder = Path::new(program("sealwright")).parent().unwrap();
    !exe.is_empty() && folder.join(exe).is_file()
}
