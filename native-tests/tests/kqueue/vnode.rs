//! `EVFILT_VNODE`.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::*;

/// A directory of one test's own.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vnode-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str) -> File {
        let mut options = OpenOptions::new();
        high(
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.path(name))
                .unwrap(),
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn vnode(file: &File, notes: NoteFlags) -> Kevent {
    Kevent::new(file, Filter::Vnode).with_fflags(notes)
}

fn all() -> NoteFlags {
    NoteFlags::DELETE
        | NoteFlags::WRITE
        | NoteFlags::EXTEND
        | NoteFlags::ATTRIB
        | NoteFlags::LINK
        | NoteFlags::RENAME
}

fn kqueue_of(file: &File, notes: NoteFlags) -> Kqueue {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[vnode(file, notes).with_flags(add(CLEAR))]);
    kqueue
}

#[test]
fn a_level_ends_with_its_descriptor() {
    let place = Place::new();
    let mut file = place.file("one");
    let number = file.as_raw_fd();
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[vnode(&file, NoteFlags::WRITE)]);
    file.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE, "it does not clear");
    drop(file);
    none(&kqueue);
    let change = Kevent::from_ident(number as usize, Filter::Vnode).with_flags(DELETE);
    assert_eq!(error(&kqueue, change), libc::EBADF);
}

#[test]
fn what_was_dispatched_is_there_still_when_it_is_enabled() {
    let place = Place::new();
    let mut file = place.file("one");
    let kqueue = Kqueue::new().unwrap();
    let write = vnode(&file, NoteFlags::WRITE);
    change(&kqueue, &[write.with_flags(add(KeventFlags::DISPATCH))]);
    file.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
    none(&kqueue);
    change(&kqueue, &[write.with_flags(KeventFlags::ENABLE)]);
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
    // With CLEAR it is not.
    change(&kqueue, &[write.with_flags(DELETE)]);
    change(&kqueue, &[write.with_flags(add(KeventFlags::DISPATCH | CLEAR))]);
    file.write_all(b"x").unwrap();
    one(&kqueue);
    change(&kqueue, &[write.with_flags(KeventFlags::ENABLE)]);
    none(&kqueue);
}

#[test]
fn each_note_for_what_it_says() {
    // "On return, fflags contains the events which triggered the filter."
    let place = Place::new();
    let file = place.file("file");
    let kqueue = kqueue_of(&file, all());
    none(&kqueue);
    let see = |what: &str| {
        let event = one(&kqueue);
        assert_eq!((event.filter, event.ident), (Filter::Vnode, file.as_raw_fd() as usize));
        none(&kqueue);
        println!("{what}: {event:?}");
        event.fflags
    };
    // "NOTE_WRITE: A write occurred on the file referenced by the descriptor."
    // "NOTE_EXTEND: For regular files, the file referenced by the descriptor was
    // extended."
    (&file).write_all(b"hello").unwrap();
    assert_eq!(see("extend"), NoteFlags::WRITE | NoteFlags::EXTEND);
    let other = OpenOptions::new().write(true).open(place.path("file")).unwrap();
    (&other).write_all(b"J").unwrap();
    assert_eq!(see("write"), NoteFlags::WRITE);
    other.set_len(2).unwrap();
    let truncated = see("truncate");
    assert!(truncated.contains(NoteFlags::WRITE) && !truncated.contains(NoteFlags::EXTEND));
    // "NOTE_ATTRIB: The file referenced by the descriptor had its attributes changed."
    fs::set_permissions(place.path("file"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(see("chmod"), NoteFlags::ATTRIB);
    // "NOTE_LINK: The link count on the file changed."
    fs::hard_link(place.path("file"), place.path("second")).unwrap();
    assert_eq!(see("link"), NoteFlags::LINK);
    // "NOTE_RENAME: The file referenced by the descriptor was renamed."
    fs::rename(place.path("file"), place.path("renamed")).unwrap();
    assert_eq!(see("rename"), NoteFlags::RENAME);
    // It goes on under the new name.
    (&file).write_all(b"after the rename").unwrap();
    assert_eq!(see("write"), NoteFlags::WRITE | NoteFlags::EXTEND);
    // "NOTE_DELETE: The unlink() system call was called on the file referenced by the
    // descriptor."
    fs::remove_file(place.path("renamed")).unwrap();
    assert_eq!(see("unlink"), NoteFlags::DELETE | NoteFlags::LINK);
    fs::remove_file(place.path("second")).unwrap();
    assert_eq!(see("unlink"), NoteFlags::DELETE | NoteFlags::LINK);
    (&file).write_all(b"nameless").unwrap();
    assert_eq!(see("write"), NoteFlags::WRITE | NoteFlags::EXTEND);
}

#[test]
fn only_what_was_asked_for() {
    let place = Place::new();
    let mut file = place.file("file");
    for note in [NoteFlags::ATTRIB, NoteFlags::RENAME, NoteFlags::DELETE, NoteFlags::LINK] {
        let kqueue = kqueue_of(&file, note);
        file.write_all(b"x").unwrap();
        none(&kqueue);
    }
    // A modify replaces what is wanted.
    let kqueue = kqueue_of(&file, NoteFlags::ATTRIB);
    change(&kqueue, &[vnode(&file, NoteFlags::WRITE)]);
    file.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
    fs::set_permissions(place.path("file"), Permissions::from_mode(0o640)).unwrap();
    none(&kqueue);
}

#[test]
fn it_adds_up_until_it_is_told() {
    let place = Place::new();
    let mut file = place.file("file");
    let kqueue = kqueue_of(&file, all());
    file.write_all(b"x").unwrap();
    fs::rename(place.path("file"), place.path("other")).unwrap();
    fs::set_permissions(place.path("other"), Permissions::from_mode(0o600)).unwrap();
    let event = one(&kqueue);
    let some = NoteFlags::WRITE | NoteFlags::EXTEND | NoteFlags::RENAME | NoteFlags::ATTRIB;
    assert_eq!(event.fflags, some);
    none(&kqueue);
}

#[test]
fn without_clear_it_stays() {
    let place = Place::new();
    let mut file = place.file("file");
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[vnode(&file, NoteFlags::WRITE)]);
    file.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
}

#[test]
fn two_descriptors_of_a_file_and_two_kqueues() {
    // inotify has one watch for all of them.
    let place = Place::new();
    let mut first = place.file("file");
    let second = place.file("file");
    let kqueue = kqueue_of(&first, NoteFlags::WRITE);
    change(&kqueue, &[vnode(&second, NoteFlags::ATTRIB).with_flags(add(CLEAR))]);
    let other = kqueue_of(&second, all());
    first.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).ident, first.as_raw_fd() as usize);
    fs::set_permissions(place.path("file"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(one(&kqueue).ident, second.as_raw_fd() as usize);
    // One goes, the other stays.
    change(&kqueue, &[vnode(&second, NoteFlags::empty()).with_flags(DELETE)]);
    first.write_all(b"x").unwrap();
    assert_eq!(one(&kqueue).ident, first.as_raw_fd() as usize);
    let some = NoteFlags::WRITE | NoteFlags::EXTEND | NoteFlags::ATTRIB;
    assert_eq!(one(&other).fflags, some);
}

#[test]
fn the_contract() {
    let place = Place::new();
    let mut file = place.file("file");
    let kqueue = Kqueue::new().unwrap();
    let kevent = vnode(&file, NoteFlags::WRITE).with_udata(2);
    assert_eq!(error(&kqueue, kevent.with_flags(DELETE)), libc::ENOENT);
    change(&kqueue, &[kevent.with_flags(add(CLEAR | KeventFlags::DISABLE))]);
    file.write_all(b"x").unwrap();
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(KeventFlags::ENABLE)]);
    assert_eq!((one(&kqueue).udata, wait(&kqueue, NOW).len()), (2, 0));
    file.write_all(b"x").unwrap();
    change(&kqueue, &[kevent.with_flags(DELETE)]);
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(add(KeventFlags::ONESHOT))]);
    file.write_all(b"x").unwrap();
    one(&kqueue);
    assert_eq!(error(&kqueue, kevent.with_flags(DELETE)), libc::ENOENT);
    change(&kqueue, &[kevent.with_flags(add(CLEAR | KeventFlags::DISPATCH))]);
    file.write_all(b"x").unwrap();
    one(&kqueue);
    file.write_all(b"x").unwrap();
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(KeventFlags::ENABLE)]);
    one(&kqueue);
}

#[test]
fn directories() {
    let place = Place::new();
    let directory = File::open(&place.0).unwrap();
    let kqueue = kqueue_of(&directory, all());
    let mut file = place.file("new");
    assert!(one(&kqueue).fflags.contains(NoteFlags::WRITE));
    file.write_all(b"what happens to an entry does not happen to the directory").unwrap();
    none(&kqueue);
    fs::create_dir(place.path("sub")).unwrap();
    let fflags = one(&kqueue).fflags;
    assert!(fflags.contains(NoteFlags::WRITE), "{fflags:?}");
    fs::rename(place.path("new"), place.path("old")).unwrap();
    assert!(one(&kqueue).fflags.contains(NoteFlags::WRITE));
    fs::remove_file(place.path("old")).unwrap();
    assert!(one(&kqueue).fflags.contains(NoteFlags::WRITE));
}

#[test]
fn the_end_of_a_directory() {
    // It is told to the directory above alone.
    let place = Place::new();
    for renamed in [false, true] {
        fs::create_dir(place.path("one")).unwrap();
        let directory = high(File::open(place.path("one")).unwrap());
        let kqueue = kqueue_of(&directory, NoteFlags::DELETE | NoteFlags::RENAME);
        fs::create_dir(place.path("other")).unwrap();
        fs::remove_dir(place.path("other")).unwrap();
        none(&kqueue);
        if renamed {
            fs::create_dir(place.path("deeper")).unwrap();
            fs::rename(place.path("one"), place.path("deeper/one")).unwrap();
            assert_eq!(one(&kqueue).fflags, NoteFlags::RENAME);
            fs::remove_dir(place.path("deeper/one")).unwrap();
        } else {
            fs::remove_dir(place.path("one")).unwrap();
        }
        assert_eq!(one(&kqueue).fflags, NoteFlags::DELETE);
    }
}

#[test]
fn opens_reads_and_closes() {
    let place = Place::new();
    let file = place.file("file");
    (&file).write_all(b"x").unwrap();
    let kqueue = kqueue_of(
        &file,
        NoteFlags::OPEN | NoteFlags::CLOSE | NoteFlags::CLOSE_WRITE | NoteFlags::READ,
    );
    let mut other = File::open(place.path("file")).unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::OPEN);
    other.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::READ);
    drop(other);
    assert_eq!(one(&kqueue).fflags, NoteFlags::CLOSE);
    drop(OpenOptions::new().write(true).open(place.path("file")).unwrap());
    assert_eq!(one(&kqueue).fflags, NoteFlags::OPEN | NoteFlags::CLOSE_WRITE);
}

#[test]
fn what_is_refused() {
    let place = Place::new();
    let file = place.file("file");
    let kqueue = Kqueue::new().unwrap();
    // Nothing on Linux tells.
    let error_of = |kevent| kqueue.control(&[kevent], &mut [], NOW).unwrap_err();
    let revoke = error_of(vnode(&file, NoteFlags::REVOKE));
    assert_eq!(revoke.kind(), std::io::ErrorKind::Unsupported);
    assert!(revoke.to_string().contains("EVFILT_VNODE"), "{revoke}");
    change(&kqueue, &[vnode(&file, NoteFlags::REVOKE | NoteFlags::WRITE)]);
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = Kevent::new(&reader, Filter::Vnode).with_fflags(NoteFlags::WRITE);
    assert_eq!(error(&kqueue, pipe), libc::EINVAL);
    let none = Kevent::from_ident(999_999, Filter::Vnode).with_fflags(NoteFlags::WRITE);
    assert_eq!(error(&kqueue, none), libc::EBADF);
}

#[test]
fn a_closed_descriptor_ends_it() {
    let place = Place::new();
    let file = place.file("file");
    let kqueue = kqueue_of(&file, all());
    let gone = vnode(&file, all()).with_flags(DELETE);
    drop(file);
    fs::write(place.path("file"), b"x").unwrap();
    none(&kqueue);
    assert_eq!(error(&kqueue, gone), libc::EBADF);
    // And leaves nothing that would be in the way.
    let file = place.file("file");
    change(&kqueue, &[vnode(&file, NoteFlags::WRITE)]);
    fs::write(place.path("file"), b"y").unwrap();
    assert_eq!(one(&kqueue).fflags, NoteFlags::WRITE);
}

#[test]
fn a_file_that_grows_is_ready_at_once() {
    // READ of a file at its end: told by the kernel, not looked for.
    let place = Place::new();
    let mut file = place.file("file");
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(&file)]);
    none(&kqueue);
    let other = OpenOptions::new().append(true).open(place.path("file")).unwrap();
    (&other).write_all(b"12345").unwrap();
    assert_eq!(wait(&kqueue, SOON)[0].data, 5);
    file.read_exact(&mut [0; 5]).unwrap();
    none(&kqueue);
    (&other).write_all(b"678").unwrap();
    assert_eq!(one(&kqueue).data, 3);
}
