//! Inputs that are nearly good: what parsers stumble over.

use crate::Random;

/// Octets of the longest input that is made.
pub const LONGEST: usize = 64 * 1024;

/// Octets at the edges of what numbers, lengths and tags can be.
const EDGES: [u8; 14] = [0, 1, 2, 4, 0x1f, 0x20, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xa0, 0xfe, 0xff];

/// One of the seeds with one to four changes.
pub fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seed(random, seeds).to_vec();
    for _ in 0..=random.below(4) {
        change(random, &mut input, seeds);
    }
    input.truncate(LONGEST);
    input
}

fn seed<'a>(random: &mut Random, seeds: &'a [Vec<u8>]) -> &'a [u8] {
    seeds.get(random.below(seeds.len())).map(Vec::as_slice).unwrap_or_default()
}

fn change(random: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.below(input.len() + 1);
    match random.below(12) {
        0..=2 => set(input, at, |octet| octet ^ (1 << (at % 8))),
        3 => {
            let bits = random.octet();
            set(input, at, |octet| octet ^ bits);
        }
        4 => {
            let edge = EDGES[random.below(EDGES.len())];
            set(input, at, |_| edge);
        }
        // Lengths are often one octet: one more, one less.
        5 => set(input, at, |octet| octet.wrapping_add(1)),
        6 => set(input, at, |octet| octet.wrapping_sub(1)),
        7 => input.truncate(at),
        8 => wide_number(random, input, at),
        9 => {
            let end = (at + random.below(64)).min(input.len());
            input.drain(at..end);
        }
        10 => {
            let start = random.below(input.len() + 1);
            let end = (start + random.below(64)).min(input.len());
            let copy = input[start..end].to_vec();
            input.splice(at..at, copy);
        }
        _ => splice(random, input, at, seeds),
    }
}

fn set(input: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(octet) = input.get_mut(at) {
        *octet = to(*octet);
    }
}

/// Two, four or eight octets become a number at an edge, as lengths in headers are.
fn wide_number(random: &mut Random, input: &mut [u8], at: usize) {
    let width = [2, 4, 8][random.below(3)];
    let number = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => input.len() as u64,
        3 => input.len() as u64 + 1,
        _ => 1 << random.below(8 * width),
    };
    let octets = number.to_be_bytes();
    if let Some(place) = input.get_mut(at..at + width) {
        place.copy_from_slice(&octets[8 - width..]);
    }
}

/// The rest becomes a part of another seed.
fn splice(random: &mut Random, input: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>]) {
    let other = seed(random, seeds);
    let from = random.below(other.len() + 1);
    let tail = if random.below(2) == 0 { Vec::new() } else { input[at..].to_vec() };
    input.truncate(at);
    let piece = &other[from..];
    let end = if tail.is_empty() { piece.len() } else { random.below(piece.len() + 1) };
    input.extend(&piece[..end]);
    input.extend(tail);
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, changed};
    use crate::Random;

    #[test]
    fn inputs_are_the_same_in_every_run_and_differ_from_each_other() {
        let seeds = [b"one seed".to_vec(), vec![7; 3 * LONGEST], Vec::new()];
        let inputs = || {
            let mut random = Random::named("a target");
            (0..500).map(|_| changed(&mut random, &seeds)).collect::<Vec<_>>()
        };
        let (mut once, again) = (inputs(), inputs());
        assert_eq!(once, again);
        assert!(once.iter().all(|input| input.len() <= LONGEST));
        once.sort();
        once.dedup();
        assert!(once.len() > 200, "{} inputs of 500 differ", once.len());
        assert_ne!(changed(&mut Random::named("another"), &seeds), again[0]);
    }
}
