//! `wasi:filesystem`.

use crate::check::{equal, err, holds, ok};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

const NONE: PathFlags = PathFlags::empty();

/// The folder mounted at a path.
pub fn mount(path: &str) -> Descriptor {
    let found = get_directories().into_iter().find(|(_, name)| name == path);
    ok(found.ok_or("no such mount")).0
}

pub fn run() {
    let folder = mount("/data");
    equal(ok(folder.get_type()), DescriptorType::Directory);
    holds(ok(folder.get_flags()).contains(DescriptorFlags::MUTATE_DIRECTORY));
    ok(folder.create_directory_at("sub"));
    equal(err(folder.create_directory_at("sub")), ErrorCode::Exist);

    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = ok(folder.open_at(NONE, "sub/file", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, flags));
    let again = folder.open_at(NONE, "sub/file", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, flags);
    equal(err(again), ErrorCode::Exist);
    content(&file);
    times(&folder, &file);
    names(&folder, &file);
    outside(&folder);
}

fn content(file: &Descriptor) {
    equal(ok(file.get_type()), DescriptorType::RegularFile);
    holds(ok(file.get_flags()).contains(DescriptorFlags::READ | DescriptorFlags::WRITE));
    equal(ok(file.write(b"hello", 0)), 5);
    equal(ok(file.read(3, 1)), (b"ell".to_vec(), false));
    equal(ok(file.read(10, 5)), (Vec::new(), true));
    ok(file.advise(0, 5, Advice::Sequential));
    ok(file.sync_data());
    ok(file.sync());
    ok(file.set_size(3));
    ok(ok(file.append_via_stream()).blocking_write_and_flush(b"p!"));
    equal(ok(file.read(10, 0)).0, b"help!");
    let stat = ok(file.stat());
    equal((stat.type_, stat.size, stat.link_count), (DescriptorType::RegularFile, 5, 1));
}

fn times(folder: &Descriptor, file: &Descriptor) {
    let at = |seconds| Datetime { seconds, nanoseconds: 500 };
    ok(file.set_times(NewTimestamp::Timestamp(at(1_000_000)), NewTimestamp::Timestamp(at(2_000_000))));
    let seen = |of: Option<Datetime>| of.map(|time| (time.seconds, time.nanoseconds));
    let stat = ok(file.stat());
    equal(seen(stat.data_access_timestamp), Some((1_000_000, 500)));
    equal(seen(stat.data_modification_timestamp), Some((2_000_000, 500)));
    let (keep, now) = (NewTimestamp::NoChange, NewTimestamp::Now);
    ok(folder.set_times_at(NONE, "sub/file", keep, now));
    let stat = ok(folder.stat_at(NONE, "sub/file"));
    equal(seen(stat.data_access_timestamp), Some((1_000_000, 500)));
    holds(stat.data_modification_timestamp.is_some_and(|time| time.seconds > 1_577_836_800));
    holds(stat.status_change_timestamp.is_some_and(|time| time.seconds > 1_577_836_800));
}

fn names(folder: &Descriptor, file: &Descriptor) {
    equal(err(folder.stat_at(NONE, "absent")), ErrorCode::NoEntry);
    ok(folder.link_at(NONE, "sub/file", folder, "hard"));
    equal(ok(file.stat()).link_count, 2);
    let hard = ok(folder.open_at(NONE, "hard", OpenFlags::empty(), DescriptorFlags::READ));
    holds(hard.is_same_object(file));
    holds(!hard.is_same_object(folder));
    let hash = |of: wasip2::filesystem::types::MetadataHashValue| (of.lower, of.upper);
    equal(hash(ok(hard.metadata_hash())), hash(ok(folder.metadata_hash_at(NONE, "sub/file"))));
    holds(hash(ok(hard.metadata_hash())) != hash(ok(folder.metadata_hash())));

    ok(folder.symlink_at("sub/file", "soft"));
    equal(ok(folder.readlink_at("soft")), "sub/file");
    equal(ok(folder.stat_at(NONE, "soft")).type_, DescriptorType::SymbolicLink);
    equal(ok(folder.stat_at(PathFlags::SYMLINK_FOLLOW, "soft")).size, 5);
    let link = folder.open_at(NONE, "soft", OpenFlags::empty(), DescriptorFlags::READ);
    equal(err(link), ErrorCode::Loop);

    ok(folder.rename_at("hard", folder, "sub/moved"));
    equal(err(folder.stat_at(NONE, "hard")), ErrorCode::NoEntry);
    equal(listed(folder), ["soft SymbolicLink", "sub Directory"]);
    let sub = ok(folder.open_at(NONE, "sub", OpenFlags::DIRECTORY, DescriptorFlags::READ));
    equal(listed(&sub), ["file RegularFile", "moved RegularFile"]);

    equal(err(folder.remove_directory_at("sub")), ErrorCode::NotEmpty);
    ok(folder.unlink_file_at("sub/moved"));
    ok(folder.unlink_file_at("sub/file"));
    ok(folder.unlink_file_at("soft"));
    equal(err(folder.unlink_file_at("soft")), ErrorCode::NoEntry);
    ok(folder.remove_directory_at("sub"));
    equal(listed(folder), [] as [&str; 0]);
    equal(ok(file.stat()).link_count, 0);
}

fn listed(folder: &Descriptor) -> Vec<String> {
    let entries = ok(folder.read_directory());
    let mut names = Vec::new();
    while let Some(entry) = ok(entries.read_directory_entry()) {
        let kind = format!("{:?}", entry.type_);
        names.push(format!("{} {}", entry.name, kind.trim_start_matches("DescriptorType::")));
    }
    names.sort();
    names
}

fn outside(folder: &Descriptor) {
    let open = |path: &str| folder.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ);
    equal(err(open("../data")), ErrorCode::NotPermitted);
    equal(err(open("/data")), ErrorCode::NotPermitted);
    equal(err(folder.symlink_at("/etc", "away")), ErrorCode::NotPermitted);
    ok(folder.symlink_at("../..", "up"));
    equal(err(open("up")), ErrorCode::NotPermitted);
    ok(folder.unlink_file_at("up"));
    let wrong = folder.open_at(NONE, ".", OpenFlags::CREATE | OpenFlags::DIRECTORY, DescriptorFlags::READ);
    equal(err(wrong), ErrorCode::Invalid);
}
