//! `EVFILT_VNODE`: what happens to the file of a descriptor, through all its
//! renames.
//!
//! inotify has one watch for a file however many descriptors it has. What is
//! wanted of it adds up, and each knote takes what it asked for. A watch ends with
//! the last name of a file: it is made anew for the descriptors that go on. That a
//! directory was removed is told to the directory above alone.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;

use super::super::error::{EBADF, ENOENT, refused, system, unsupported};
use super::super::host::Host;
use super::super::knote::{Knotes, What};
use super::System;
use crate::backend::Key;
use crate::backend::linux::{FileEvent, FileState, Inotify};
use crate::kevent::{Filter, Kevent, NoteFlags};

pub(in super::super) struct Vnode {
    fd: RawFd,
    identity: (u64, u64),
    is_directory: bool,
}

#[derive(Default)]
pub(super) struct Vnodes {
    inotify: Option<(Key, Inotify)>,
    watches: BTreeMap<i32, Watch>,
    /// Which watches a knote has.
    by_knote: BTreeMap<u64, Vec<i32>>,
}

/// What is known of a file that is watched.
#[derive(Default)]
struct Watch {
    /// Those of the file.
    knotes: Vec<(Key, RawFd)>,
    state: Option<FileState>,
    /// Those of directories in it.
    below: Vec<(Key, RawFd)>,
}

/// What of inotify tells what of a file.
const TOLD_BY: [(NoteFlags, u32); 10] = [
    (NoteFlags::DELETE, libc::IN_ATTRIB | libc::IN_DELETE_SELF),
    (NoteFlags::WRITE, libc::IN_MODIFY | ENTRIES),
    (NoteFlags::EXTEND, libc::IN_MODIFY),
    (NoteFlags::ATTRIB, libc::IN_ATTRIB),
    (NoteFlags::LINK, libc::IN_ATTRIB | ENTRIES),
    (NoteFlags::RENAME, libc::IN_MOVE_SELF),
    (NoteFlags::OPEN, libc::IN_OPEN),
    (NoteFlags::CLOSE, libc::IN_CLOSE_NOWRITE),
    (NoteFlags::CLOSE_WRITE, libc::IN_CLOSE_WRITE),
    (NoteFlags::READ, libc::IN_ACCESS),
];

const ENTRIES: u32 = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;

fn mask(asked: NoteFlags) -> u32 {
    TOLD_BY.iter().filter(|(note, _)| asked.contains(*note)).fold(0, |all, (_, mask)| all | mask)
}

fn check(asked: NoteFlags) -> io::Result<()> {
    if asked == NoteFlags::REVOKE {
        return Err(unsupported(Filter::Vnode, "nobody tells when access is revoked"));
    }
    Ok(())
}

impl Vnodes {
    pub(super) fn attach(
        &mut self,
        host: &mut Host,
        knotes: &mut Knotes,
        key: Key,
        change: &Kevent,
    ) -> io::Result<Vnode> {
        let fd = RawFd::try_from(change.ident).map_err(|_| system(EBADF))?;
        let state = FileState::of(fd)?;
        if !state.is_file {
            return Err(refused(Filter::Vnode, "it watches files and directories alone"));
        }
        check(change.fflags)?;
        self.open(host, knotes)?;
        self.watch(key, fd, mask(change.fflags))?;
        let is_directory = state.is_directory;
        if is_directory && change.fflags.contains(NoteFlags::DELETE) {
            self.watch_above(key, fd);
        }
        Ok(Vnode { fd, identity: state.identity, is_directory })
    }

    pub(super) fn watch_file(
        &mut self,
        host: &mut Host,
        knotes: &mut Knotes,
        key: Key,
        fd: RawFd,
    ) -> io::Result<()> {
        if self.by_knote.contains_key(&key.bits()) {
            return Ok(());
        }
        self.open(host, knotes)?;
        self.watch(key, fd, libc::IN_MODIFY)
    }

    fn open(&mut self, host: &mut Host, knotes: &mut Knotes) -> io::Result<()> {
        if self.inotify.is_none() {
            let inotify = Inotify::new()?;
            let key = knotes.reserve();
            if let Err(error) = host.watch_own(key, inotify.fd()) {
                knotes.release(key);
                return Err(error);
            }
            self.inotify = Some((key, inotify));
        }
        Ok(())
    }

    fn watch(&mut self, key: Key, fd: RawFd, mask: u32) -> io::Result<()> {
        let Some((_, inotify)) = &self.inotify else { return Ok(()) };
        // A watch of nothing is refused.
        let mask = if mask == 0 { libc::IN_DELETE_SELF } else { mask };
        let state = FileState::of(fd)?;
        let number = inotify.add(fd, mask)?;
        let watch = self.watches.entry(number).or_default();
        watch.state.get_or_insert(state);
        if !watch.knotes.contains(&(key, fd)) {
            watch.knotes.push((key, fd));
            self.by_knote.entry(key.bits()).or_default().push(number);
        }
        Ok(())
    }

    /// If it cannot be done, a removal is not told, and nothing else is missing.
    fn watch_above(&mut self, key: Key, fd: RawFd) {
        let Some((_, inotify)) = &self.inotify else { return };
        if let Ok(number) = inotify.add_parent(fd, libc::IN_DELETE) {
            let watch = self.watches.entry(number).or_default();
            if !watch.below.contains(&(key, fd)) {
                watch.below.push((key, fd));
                self.by_knote.entry(key.bits()).or_default().push(number);
            }
        }
    }

    pub(super) fn modify(&mut self, vnode: &Vnode, key: Key, change: &Kevent) -> io::Result<()> {
        vnode.check()?;
        check(change.fflags)?;
        self.watch(key, vnode.fd, mask(change.fflags))?;
        if vnode.is_directory && change.fflags.contains(NoteFlags::DELETE) {
            self.watch_above(key, vnode.fd);
        }
        Ok(())
    }

    pub(super) fn detach(&mut self, vnode: &Vnode, key: Key) -> io::Result<()> {
        self.forget(key);
        vnode.check()
    }

    /// A knote does not want to be told any more.
    pub(super) fn forget(&mut self, key: Key) {
        for number in self.by_knote.remove(&key.bits()).unwrap_or_default() {
            let Some(watch) = self.watches.get_mut(&number) else { continue };
            watch.knotes.retain(|(other, _)| *other != key);
            watch.below.retain(|(other, _)| *other != key);
            if watch.knotes.is_empty() && watch.below.is_empty() {
                self.watches.remove(&number);
                if let Some((_, inotify)) = &self.inotify {
                    inotify.remove(number);
                }
            }
        }
    }

    pub(super) fn is(&self, key: Key) -> bool {
        self.inotify.as_ref().is_some_and(|(own, _)| *own == key)
    }

    pub(super) fn descriptor(&self) -> Option<(Key, RawFd)> {
        self.inotify.as_ref().map(|(key, inotify)| (*key, inotify.fd()))
    }

    /// Adds what has happened to the knotes.
    pub(super) fn take(&mut self, knotes: &mut Knotes) {
        let Vnodes { inotify: Some((_, inotify)), watches, by_knote } = self else { return };
        let mut ended = Vec::new();
        let mut moved = Vec::new();
        inotify.read(|event| {
            let lost = event.mask & libc::IN_Q_OVERFLOW != 0;
            for (number, watch) in watches.iter_mut() {
                if lost || *number == event.watch {
                    watch.take(event, lost, knotes);
                }
            }
            if event.mask & libc::IN_IGNORED != 0 {
                // The file has no name any more; its descriptors have it still.
                if let Some(watch) = watches.remove(&event.watch) {
                    for (key, _) in watch.knotes.iter().chain(&watch.below) {
                        if let Some(numbers) = by_knote.get_mut(&key.bits()) {
                            numbers.retain(|number| *number != event.watch);
                        }
                    }
                    ended.extend(watch.knotes);
                }
            } else if event.mask & libc::IN_MOVE_SELF != 0 {
                let watch = watches.get(&event.watch);
                moved.extend(watch.iter().flat_map(|watch| watch.knotes.iter().copied()));
            }
        });
        for (key, fd) in ended {
            let Some(knote) = knotes.get(key) else { continue };
            let mask = match &knote.what {
                What::System(System::Vnode(vnode)) if vnode.check().is_ok() => mask(knote.asked),
                What::Io(_) => libc::IN_MODIFY,
                _ => continue,
            };
            // If there is no watch to be had, nothing more is told.
            let _ = self.watch(key, fd, mask);
        }
        for (key, fd) in moved {
            if let Some(What::System(System::Vnode(vnode))) = knotes.get(key).map(|one| &one.what) {
                if vnode.is_directory {
                    self.watch_above(key, fd);
                }
            }
        }
    }
}

impl Vnode {
    /// Whether the descriptor is still the file's.
    pub(super) fn check(&self) -> io::Result<()> {
        if FileState::of(self.fd)?.identity == self.identity { Ok(()) } else { Err(system(ENOENT)) }
    }
}

impl Watch {
    fn take(&mut self, event: FileEvent, lost: bool, knotes: &mut Knotes) {
        if event.mask & libc::IN_DELETE != 0 || lost {
            self.below.retain(|(key, fd)| {
                let gone = FileState::of(*fd).is_ok_and(|now| now.links == 0);
                if gone {
                    tell(knotes, *key, NoteFlags::DELETE);
                }
                !gone
            });
        }
        let Some(before) = self.state else { return };
        // The file as one of its descriptors has it now.
        let same = |fd| FileState::of(fd).ok().filter(|now| now.identity == before.identity);
        let now = self.knotes.iter().find_map(|(_, fd)| same(*fd));
        let happened = what(event, lost, &before, now.as_ref());
        if now.is_some() {
            self.state = now;
        }
        for (key, fd) in &self.knotes {
            // A descriptor that was closed tells nothing more.
            if same(*fd).is_some() {
                tell(knotes, *key, happened);
            }
        }
    }
}

fn tell(knotes: &mut Knotes, key: Key, happened: NoteFlags) {
    let Some(knote) = knotes.get_mut(key) else { return };
    let asked = match &knote.what {
        What::Io(_) => happened & NoteFlags::WRITE,
        _ => happened & knote.asked,
    };
    if asked.is_empty() {
        return;
    }
    if matches!(knote.what, What::System(_)) {
        knote.kevent.fflags |= asked;
    }
    knotes.activate(key);
}

/// What an event says, and what changed with it.
fn what(event: FileEvent, lost: bool, before: &FileState, now: Option<&FileState>) -> NoteFlags {
    let mut happened = NoteFlags::empty();
    if event.of_entry {
        // Of what happens to entries only that they come and go happens to the
        // directory.
        if event.mask & ENTRIES != 0 {
            happened |= NoteFlags::WRITE;
        }
    } else {
        for (note, mask) in [
            (NoteFlags::WRITE, libc::IN_MODIFY),
            (NoteFlags::RENAME, libc::IN_MOVE_SELF),
            (NoteFlags::DELETE, libc::IN_DELETE_SELF),
            (NoteFlags::OPEN, libc::IN_OPEN),
            (NoteFlags::CLOSE, libc::IN_CLOSE_NOWRITE),
            (NoteFlags::CLOSE_WRITE, libc::IN_CLOSE_WRITE),
            (NoteFlags::READ, libc::IN_ACCESS),
        ] {
            happened.set(note, event.mask & mask != 0);
        }
    }
    let Some(now) = now else { return happened };
    if now.links < before.links && !now.is_directory {
        happened |= NoteFlags::DELETE;
    }
    if now.links == 0 && before.links > 0 {
        happened |= NoteFlags::DELETE;
    }
    if now.links != before.links {
        happened |= NoteFlags::LINK;
    }
    if now.size > before.size && !now.is_directory {
        happened |= NoteFlags::EXTEND;
    }
    // A change of the number of links comes as one of the attributes too.
    let attributes = !event.of_entry && event.mask & libc::IN_ATTRIB != 0;
    if (attributes && now.links == before.links) || now.rights != before.rights {
        happened |= NoteFlags::ATTRIB;
    }
    if lost && now.written != before.written {
        happened |= NoteFlags::WRITE;
    }
    happened
}
