//! Random sequences on pipes, sockets and eventfds: each wait reports what the model
//! says, with its bytes, whatever was closed, duplicated or given the same number. (Alone
//! in its process: a child that another test forked would keep alive what is closed.)

#![cfg(any(target_os = "linux", target_os = "android"))]

#[allow(dead_code, reason = "it needs the least")]
#[path = "kqueue/common.rs"]
mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use common::*;
use native_tests::random::Random;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pipe,
    Socket,
    Eventfd,
}

/// A number, and the source that has it.
struct Place {
    number: i32,
    kind: Kind,
    rx: Option<File>,
    tx: Option<File>,
    /// Bytes to read, or the eventfd's count.
    bytes: usize,
    knote: Option<Knote>,
    /// Keep sources alive whose number was closed.
    duplicates: Vec<File>,
}

#[derive(Clone, Copy, Debug)]
struct Knote {
    flags: KeventFlags,
    disabled: bool,
    /// It clears, and something happened since.
    changed: bool,
    mark: i64,
    udata: usize,
    /// Its number was closed: so many reports are another source's.
    stale: Option<usize>,
}

impl Place {
    fn open(number: i32, random: &mut Random) -> Place {
        // poll(2) cannot tell one eventfd from another.
        let kinds = if cfg!(readiness_backend = "poll") { 2 } else { 3 };
        let kind = random.of(&[Kind::Pipe, Kind::Socket, Kind::Eventfd][..kinds]);
        let (rx, tx): (OwnedFd, OwnedFd) = match kind {
            Kind::Pipe => {
                let (rx, tx) = std::io::pipe().unwrap();
                (rx.into(), tx.into())
            }
            Kind::Socket => {
                let (rx, tx) = UnixStream::pair().unwrap();
                (rx.into(), tx.into())
            }
            Kind::Eventfd => {
                // SAFETY: no pointers; the descriptor is new.
                let fd = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_NONBLOCK)) };
                (fd.try_clone().unwrap(), fd)
            }
        };
        // SAFETY: the number is free, or becomes so; it is ours.
        let rx = unsafe {
            assert_eq!(libc::dup2(rx.as_raw_fd(), number), number);
            File::from_raw_fd(number)
        };
        let (rx, tx) = (Some(rx), Some(tx.into()));
        Place { number, kind, rx, tx, bytes: 0, knote: None, duplicates: Vec::new() }
    }

    fn change(&self) -> Kevent {
        Kevent::from_ident(self.number as usize, Filter::Read)
    }

    fn ended(&self) -> bool {
        self.tx.is_none()
    }

    fn happened(&mut self) {
        if let Some(knote) = &mut self.knote {
            knote.changed = true;
        }
    }

    /// What is to be reported: data and flags. `None`: nothing.
    fn expected(&self) -> Option<(i64, KeventFlags)> {
        let knote = self.knote.filter(|knote| !knote.disabled && knote.stale.is_none())?;
        let data =
            if self.kind == Kind::Eventfd { self.bytes.min(1) as i64 } else { self.bytes as i64 };
        // What is not counted is enough for any mark.
        let mark = if self.kind == Kind::Eventfd { 1 } else { knote.mark.max(1) };
        let clears = knote.flags.contains(CLEAR);
        if (clears && !knote.changed) || (!self.ended() && data < mark) {
            return None;
        }
        let end = if self.ended() { EOF } else { KeventFlags::empty() };
        Some((data, knote.flags.difference(KeventFlags::ADD) | end))
    }
}

fn step(kqueue: &Kqueue, place: &mut Place, random: &mut Random, duplicate: bool) {
    match random.below(12) {
        0..=2 => {
            let Some(tx) = &mut place.tx else { return };
            let eventfd = place.kind == Kind::Eventfd;
            let n = if eventfd { 1 } else { random.of(&[1, 5, 5, 5]) };
            if place.bytes < 500 {
                if eventfd {
                    tx.write_all(&1u64.to_ne_bytes()).unwrap();
                } else {
                    tx.write_all(&[0; 5][..n]).unwrap();
                }
                place.bytes += n;
                place.happened();
            }
        }
        3..=4 => {
            let Some(rx) = &mut place.rx else { return };
            if place.bytes > 0 {
                if place.kind == Kind::Eventfd {
                    rx.read_exact(&mut [0; 8]).unwrap();
                    place.bytes = 0;
                } else {
                    let n = random.of(&[1, 2, 5, place.bytes]).min(place.bytes);
                    rx.read_exact(&mut vec![0; n]).unwrap();
                    place.bytes -= n;
                }
            }
        }
        5 if place.kind != Kind::Eventfd && place.tx.is_some() && random.below(6) == 0 => {
            place.tx = None;
            place.happened();
        }
        6 if random.below(4) == 0 => replace(place, random, duplicate),
        7..=8 => {
            let flags = random.of(&[
                KeventFlags::empty(),
                KeventFlags::empty(),
                CLEAR,
                KeventFlags::ONESHOT,
                KeventFlags::DISPATCH,
            ]);
            let disabled = random.below(8) == 0;
            let more = if disabled { KeventFlags::DISABLE } else { KeventFlags::empty() };
            let mark = random.of(&[0, 0, 0, 0, 4]);
            let note = if mark > 0 { NoteFlags::LOWAT } else { NoteFlags::empty() };
            let udata = random.below(100);
            let event = place.change().with_fflags(note).with_data(mark).with_udata(udata);
            change(kqueue, &[event.with_flags(add(flags | more))]);
            // "A modify replaces": all but the flags.
            let flags = match place.knote {
                Some(Knote { flags, stale: None, .. }) => flags,
                _ => flags,
            };
            place.knote = Some(Knote { flags, disabled, changed: true, mark, udata, stale: None });
        }
        9 => {
            let asked = place.change();
            let Some(knote) = &mut place.knote else { return };
            let (flag, disabled) =
                random.of(&[(KeventFlags::ENABLE, false), (KeventFlags::DISABLE, true)]);
            let event = asked.with_flags(flag).with_udata(3);
            let done = kqueue.control(&[event], &mut [], NOW);
            if knote.stale.is_some() {
                assert_eq!(os_error(&done.unwrap_err()), Some(libc::ENOENT));
                place.knote = None;
                return;
            }
            done.unwrap();
            // It replaces the mark as well.
            (knote.disabled, knote.changed, knote.mark, knote.udata) = (disabled, true, 0, 3);
        }
        10 => {
            let done = kqueue.control(&[place.change().with_flags(DELETE)], &mut [], NOW);
            match place.knote.take() {
                Some(Knote { stale: None, .. }) => assert_eq!(done.unwrap(), 0),
                _ => assert_eq!(os_error(&done.unwrap_err()), Some(libc::ENOENT)),
            }
        }
        _ => {}
    }
}

/// Closes the number, and gives it to another source.
fn replace(place: &mut Place, random: &mut Random, duplicate: bool) {
    let mut duplicates = std::mem::take(&mut place.duplicates);
    let rx = place.rx.take().unwrap();
    if duplicate && random.below(2) == 0 {
        duplicates.push(rx.try_clone().unwrap());
        duplicates.extend(place.tx.take().filter(|_| random.below(2) == 0));
    }
    if duplicates.len() > 4 {
        duplicates.clear();
    }
    let knote = place.knote.map(|knote| Knote { stale: knote.stale.or(Some(0)), ..knote });
    let number = place.number;
    drop(rx);
    *place = Place { knote, duplicates, ..Place::open(number, random) };
}

fn look(kqueue: &Kqueue, places: &mut [Place], duplicates: bool, seed: u64) {
    let events = wait(kqueue, NOW);
    for event in &events {
        let place = places.iter().find(|place| place.number as usize == event.ident);
        let known = place.is_some_and(|place| place.knote.is_some());
        assert!(known, "seed {seed}: {event:?} of nothing registered");
    }
    for place in places {
        let of_it: Vec<_> =
            events.iter().filter(|event| event.ident == place.number as usize).collect();
        let expected = place.expected();
        let what = format!("seed {seed}: {:?} {:?} {:?}", place.kind, place.knote, place.bytes);
        assert!(of_it.len() <= 1, "{what}: {of_it:?}");
        let Some(knote) = &mut place.knote else { continue };
        match (of_it.first(), expected) {
            (None, None) => {}
            (Some(event), Some((data, flags))) => {
                assert_eq!(
                    (event.data, event.flags, event.udata),
                    (data, flags, knote.udata),
                    "{what}"
                );
            }
            // As much was read as came: it is told a little later.
            (None, Some(_)) if cfg!(readiness_backend = "poll") && knote.flags.contains(CLEAR) => {}
            (None, Some(_)) => panic!("{what}: nothing was told"),
            (Some(event), None) => {
                // What clears may come again where there are levels alone, and when the
                // kernel's set is made anew, to be rid of what a duplicate keeps alive.
                let levels = cfg!(readiness_backend = "poll") || duplicates;
                let again = levels && knote.flags.contains(CLEAR) && knote.stale.is_none();
                let stale = knote.stale.as_mut().map(|stale| *stale += 1);
                assert!(again || stale.is_some(), "{what}: {event:?}");
                assert!(again || knote.stale <= Some(16), "{what}: {event:?}");
                continue;
            }
        }
        if of_it.is_empty() {
            continue;
        }
        knote.changed = false;
        knote.disabled |= knote.flags.contains(KeventFlags::DISPATCH);
        if knote.flags.contains(KeventFlags::ONESHOT) {
            place.knote = None;
        }
    }
}

#[test]
fn each_wait_reports_what_there_is() {
    for seed in 1..=400u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let duplicates = seed % 2 == 0;
        let kqueue = Kqueue::new().unwrap();
        let numbers = 900..906;
        let mut places: Vec<_> = numbers.map(|number| Place::open(number, &mut random)).collect();
        for _ in 0..60 {
            for _ in 0..random.of(&[1, 1, 2, 5]) {
                let at = random.below(places.len());
                step(&kqueue, &mut places[at], &mut random, duplicates);
            }
            // Often enough that what nobody reads is taken to stand.
            for _ in 0..random.of(&[1, 1, 1, 2, 25]) {
                look(&kqueue, &mut places, duplicates, seed);
            }
        }
    }
}
