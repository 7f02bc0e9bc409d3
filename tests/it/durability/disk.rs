//! What a disk may hold after a power cut, told from the record of what was written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::Chance;

/// What a disk may do when it loses power
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// Only what was synced is there.
    Synced,
    /// Of what was not synced any sectors are there, any shortened file, and any beginning of the changes of names.
    Torn,
    /// What was written is there, synced or not, but no name that was not synced, and no file is shortened.
    DataFirst,
}

/// A file by its number and the time it was made, because numbers are used again
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity(u64, u64);

/// One operation of the record
pub(super) struct Entry {
    operation: u8,
    file: Identity,
    offset: u64,
    thread: u64,
    path: String,
    data: Vec<u8>,
    /// Where the record ends with it
    pub(super) end: u64,
}

impl Entry {
    /// Whether it decides what is on the disk: a sync, a name, a length
    pub(super) fn is_decisive(&self) -> bool {
        self.operation != b'W'
    }
}

/// A change of a file
enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
}

/// A file: what is on the disk for certain, and what may be
#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    changes: Vec<Change>,
    /// How many changes were synced and are no longer in the list
    synced_changes: usize,
}

/// A sync that was begun
enum Begun {
    /// How many changes of the file there were
    File(Identity, usize),
    /// How many changes of names there were, and all names of the folder
    Folder(usize, BTreeMap<String, Identity>),
}

/// A disk at one moment
pub(super) struct Disk {
    folder: PathBuf,
    files: BTreeMap<Identity, Content>,
    synced_names: BTreeMap<String, Identity>,
    names: BTreeMap<String, Identity>,
    /// Names that came or went and are not synced, each with its number
    changes: Vec<(usize, String, Option<Identity>)>,
    changes_count: usize,
    begun: BTreeMap<u64, Begun>,
    ignored: Ignored,
}

/// Which syncs do not count. Without some of them something must be lost, or whoever looks for losses sees nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    Nothing,
    /// Of write-ahead logs, as with `PRAGMA synchronous = NORMAL`
    Logs,
    /// Of folders
    Folders,
    Everything,
}

/// Reads the record that the shim kept.
pub(super) fn read(record: &Path) -> Vec<Entry> {
    const HEAD: usize = 7 * 8;
    let bytes = fs::read(record).unwrap();
    let mut entries = Vec::new();
    let mut start = 0;
    while start + HEAD <= bytes.len() {
        let number = |index: usize| u64::from_ne_bytes(bytes[start + 8 * index..][..8].try_into().unwrap());
        let [path_length, data_length] = [5, 6].map(|index| usize::try_from(number(index)).unwrap());
        let [path, data] = [start + HEAD, start + HEAD + path_length];
        let end = data + data_length;
        if end > bytes.len() {
            break;
        }
        entries.push(Entry {
            operation: u8::try_from(number(0)).unwrap(),
            file: Identity(number(1), number(2)),
            offset: number(3),
            thread: number(4),
            path: String::from_utf8(bytes[path..data].to_vec()).unwrap(),
            data: bytes[data..end].to_vec(),
            end: u64::try_from(end).unwrap(),
        });
        start = end;
    }
    entries
}

impl Disk {
    /// The disk as it is before anything is recorded: all that lies in the folder is synced.
    pub(super) fn of(folder: &Path, ignored: Ignored) -> Self {
        let folder = folder.canonicalize().unwrap();
        let mut files = BTreeMap::new();
        let mut names = BTreeMap::new();
        for path in crate::layers::files(&folder) {
            let path_name = path.to_str().unwrap().to_owned();
            if path_name.ends_with("-shm") {
                continue;
            }
            let found = path.metadata().unwrap();
            let birth = found.created().map_or(0, |birth| birth.duration_since(UNIX_EPOCH).unwrap().as_nanos());
            let identity = Identity(found.ino(), u64::try_from(birth).unwrap());
            files.insert(identity, Content { synced: fs::read(&path).unwrap(), ..Content::default() });
            names.insert(path_name, identity);
        }
        Self {
            folder,
            files,
            synced_names: names.clone(),
            names,
            changes: Vec::new(),
            changes_count: 0,
            begun: BTreeMap::new(),
            ignored,
        }
    }

    fn ignores(&self, begun: &Begun, path: &str) -> bool {
        match self.ignored {
            Ignored::Nothing => false,
            Ignored::Logs => path.ends_with("-wal"),
            Ignored::Folders => matches!(begun, Begun::Folder(..)),
            Ignored::Everything => true,
        }
    }

    fn name(&mut self, path: &str, file: Option<Identity>) {
        if self.names.get(path).copied() == file {
            return;
        }
        match file {
            Some(file) => self.names.insert(path.to_owned(), file),
            None => self.names.remove(path),
        };
        self.changes.push((self.changes_count, path.to_owned(), file));
        self.changes_count += 1;
    }

    fn change(&mut self, file: Identity, change: Change) {
        self.files.entry(file).or_default().changes.push(change);
    }

    /// Does what was recorded next.
    pub(super) fn step(&mut self, entry: &Entry) {
        let Entry { file, offset, thread, path, data, .. } = entry;
        match entry.operation {
            b'O' => {
                self.files.entry(*file).or_default();
                self.name(path, Some(*file));
            }
            b'W' => self.change(*file, Change::Write(*offset, data.clone())),
            b'T' => self.change(*file, Change::Resize(*offset)),
            b's' => {
                let content = self.files.entry(*file).or_default();
                let begun = Begun::File(*file, content.synced_changes + content.changes.len());
                self.begun.insert(*thread, begun);
            }
            b'd' => {
                let listed = listed(path, std::str::from_utf8(data).unwrap());
                // Also those that came or went by a call that the shim does not see
                for (name, file) in &listed {
                    self.files.entry(*file).or_default();
                    self.name(name, Some(*file));
                }
                let gone: Vec<String> = self
                    .names
                    .keys()
                    .filter(|name| lies_in(name, path) && !listed.contains_key(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.name(&name, None);
                }
                self.begun.insert(*thread, Begun::Folder(self.changes_count, listed));
            }
            b'S' | b'D' => match self.begun.remove(thread) {
                Some(begun) if self.ignores(&begun, path) => {}
                Some(Begun::File(file, count)) => self.files.get_mut(&file).unwrap().sync(count),
                Some(Begun::Folder(count, listed)) => {
                    self.synced_names.retain(|name, _| !lies_in(name, path));
                    self.synced_names.extend(listed);
                    self.changes.retain(|(number, name, _)| *number >= count || !lies_in(name, path));
                }
                None => panic!("a sync that was not begun"),
            },
            b'U' => self.name(path, None),
            b'R' => {
                let file = self.names.get(path).copied();
                self.name(std::str::from_utf8(data).unwrap(), file);
                self.name(path, None);
            }
            other => panic!("{other}: the record is damaged"),
        }
    }

    /// Writes what the disk may hold into an empty folder.
    pub(super) fn write(&self, cut: Cut, chance: &mut Chance, target: &Path) {
        let mut names = self.synced_names.clone();
        if matches!(cut, Cut::Torn) {
            for (_, name, file) in self.changes.iter().take(chance.below(self.changes.len() + 1)) {
                match file {
                    Some(file) => names.insert(name.clone(), *file),
                    None => names.remove(name),
                };
            }
        }
        for (name, file) in names {
            let path = target.join(Path::new(&name).strip_prefix(&self.folder).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, self.files[&file].after(cut, chance)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

impl Content {
    /// Everything up to so many changes is on the disk for certain.
    fn sync(&mut self, count: usize) {
        let new = count.saturating_sub(self.synced_changes);
        for change in self.changes.drain(..new) {
            change.apply(&mut self.synced);
        }
        self.synced_changes += new;
    }

    fn after(&self, cut: Cut, random: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        // Of all sectors some few, half or most
        let tenths = [1, 5, 9][random.below(3)];
        for change in &self.changes {
            match (cut, change) {
                (Cut::Synced, _) | (Cut::DataFirst, Change::Resize(_)) => {}
                (Cut::DataFirst, change) => change.apply(&mut bytes),
                (Cut::Torn, Change::Resize(_)) => {
                    if random.below(2) == 0 {
                        change.apply(&mut bytes);
                    }
                }
                (Cut::Torn, Change::Write(offset, data)) => {
                    for (start, sector) in (*offset..).step_by(512).zip(data.chunks(512)) {
                        if random.below(10) < tenths {
                            Change::Write(start, sector.to_vec()).apply(&mut bytes);
                        }
                    }
                }
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap();
                let end = start + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[start..end].copy_from_slice(data);
            }
            Self::Resize(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        }
    }
}

fn lies_in(path: &str, folder: &str) -> bool {
    Path::new(path).parent() == Some(Path::new(folder))
}

/// The names in a folder, as the shim lists them
fn listed(folder: &str, list: &str) -> BTreeMap<String, Identity> {
    let read = |line: &str| {
        let [name, inode, birth] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        (format!("{folder}/{name}"), Identity(inode.parse().unwrap(), birth.parse().unwrap()))
    };
    list.lines().map(read).collect()
}
