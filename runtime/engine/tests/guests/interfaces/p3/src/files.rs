//! `wasi:filesystem`.

use crate::check::{equal, err, holds, ok};
use wasip3::clocks::system_clock::Instant;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasip3::wit_stream;

const NONE: PathFlags = PathFlags::empty();

pub async fn run() {
    let folder = mount("/data");
    equal(named(ok(folder.get_type().await)), "Directory");
    holds(ok(folder.get_flags().await).contains(DescriptorFlags::MUTATE_DIRECTORY));
    ok(folder.create_directory_at("sub".into()).await);
    failed(folder.create_directory_at("sub".into()).await, "Exist");

    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let fresh = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = ok(folder.open_at(NONE, "sub/file".into(), fresh, flags).await);
    failed(folder.open_at(NONE, "sub/file".into(), fresh, flags).await, "Exist");
    content(&file).await;
    times(&folder, &file).await;
    names(&folder, &file).await;
    outside(&folder).await;
    full(&mount("/small")).await;
}

fn mount(path: &str) -> Descriptor {
    let found = get_directories().into_iter().find(|(_, name)| name == path);
    ok(found.ok_or("no such mount")).0
}

/// The name of a case.
fn named(value: impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.rsplit("::").next().unwrap_or_default().to_string()
}

#[track_caller]
fn failed<T>(result: Result<T, ErrorCode>, how: &str) {
    equal(named(err(result)), how);
}

async fn write(file: &Descriptor, bytes: &[u8], offset: Option<u64>) -> Result<(), ErrorCode> {
    let (mut data, stream) = wit_stream::new();
    let written = match offset {
        Some(offset) => file.write_via_stream(stream, offset),
        None => file.append_via_stream(stream),
    };
    data.write_all(bytes.to_vec()).await;
    drop(data);
    written.await
}

async fn read(file: &Descriptor, offset: u64) -> Vec<u8> {
    let (data, end) = file.read_via_stream(offset);
    let bytes = data.collect().await;
    ok(end.await);
    bytes
}

async fn content(file: &Descriptor) {
    equal(named(ok(file.get_type().await)), "RegularFile");
    holds(ok(file.get_flags().await).contains(DescriptorFlags::READ | DescriptorFlags::WRITE));
    ok(write(file, b"hello", Some(0)).await);
    equal(read(file, 1).await, b"ello");
    equal(read(file, 5).await, b"");
    ok(file.advise(0, 5, Advice::Sequential).await);
    ok(file.sync_data().await);
    ok(file.sync().await);
    ok(file.set_size(3).await);
    ok(write(file, b"p!", None).await);
    equal(read(file, 0).await, b"help!");
    let stat = ok(file.stat().await);
    equal((named(stat.type_).as_str(), stat.size, stat.link_count), ("RegularFile", 5, 1));
}

async fn times(folder: &Descriptor, file: &Descriptor) {
    let at = |seconds| NewTimestamp::Timestamp(Instant { seconds, nanoseconds: 500 });
    ok(file.set_times(at(1_000_000), at(2_000_000)).await);
    let seen = |of: Option<Instant>| of.map(|time| (time.seconds, time.nanoseconds));
    let stat = ok(file.stat().await);
    equal(seen(stat.data_access_timestamp), Some((1_000_000, 500)));
    equal(seen(stat.data_modification_timestamp), Some((2_000_000, 500)));
    let (keep, now) = (NewTimestamp::NoChange, NewTimestamp::Now);
    ok(folder.set_times_at(NONE, "sub/file".into(), keep, now).await);
    let stat = ok(folder.stat_at(NONE, "sub/file".into()).await);
    equal(seen(stat.data_access_timestamp), Some((1_000_000, 500)));
    holds(stat.data_modification_timestamp.is_some_and(|time| time.seconds > 1_577_836_800));
    holds(stat.status_change_timestamp.is_some_and(|time| time.seconds > 1_577_836_800));
}

async fn names(folder: &Descriptor, file: &Descriptor) {
    failed(folder.stat_at(NONE, "absent".into()).await, "NoEntry");
    ok(folder.link_at(NONE, "sub/file".into(), folder, "hard".into()).await);
    equal(ok(file.stat().await).link_count, 2);
    let none = OpenFlags::empty();
    let hard = ok(folder.open_at(NONE, "hard".into(), none, DescriptorFlags::READ).await);
    holds(hard.is_same_object(file).await);
    holds(!hard.is_same_object(folder).await);
    let hash = |of: MetadataHashValue| (of.lower, of.upper);
    let own = hash(ok(hard.metadata_hash().await));
    equal(own, hash(ok(folder.metadata_hash_at(NONE, "sub/file".into()).await)));
    holds(own != hash(ok(folder.metadata_hash().await)));

    ok(folder.symlink_at("sub/file".into(), "soft".into()).await);
    equal(ok(folder.readlink_at("soft".into()).await), "sub/file");
    equal(named(ok(folder.stat_at(NONE, "soft".into()).await).type_), "SymbolicLink");
    equal(ok(folder.stat_at(PathFlags::SYMLINK_FOLLOW, "soft".into()).await).size, 5);
    failed(folder.open_at(NONE, "soft".into(), none, DescriptorFlags::READ).await, "Loop");

    ok(folder.rename_at("hard".into(), folder, "sub/moved".into()).await);
    failed(folder.stat_at(NONE, "hard".into()).await, "NoEntry");
    equal(listed(folder).await, ["soft SymbolicLink", "sub Directory"]);
    let sub = ok(folder.open_at(NONE, "sub".into(), OpenFlags::DIRECTORY, DescriptorFlags::READ).await);
    equal(listed(&sub).await, ["file RegularFile", "moved RegularFile"]);

    failed(folder.remove_directory_at("sub".into()).await, "NotEmpty");
    ok(folder.unlink_file_at("sub/moved".into()).await);
    ok(folder.unlink_file_at("sub/file".into()).await);
    ok(folder.unlink_file_at("soft".into()).await);
    failed(folder.unlink_file_at("soft".into()).await, "NoEntry");
    ok(folder.remove_directory_at("sub".into()).await);
    equal(listed(folder).await, [] as [&str; 0]);
    equal(ok(file.stat().await).link_count, 0);
}

async fn listed(folder: &Descriptor) -> Vec<String> {
    let (entries, end) = folder.read_directory();
    let entries = entries.collect().await;
    ok(end.await);
    let mut names: Vec<String> =
        entries.into_iter().map(|entry| format!("{} {}", entry.name, named(entry.type_))).collect();
    names.sort();
    names
}

async fn outside(folder: &Descriptor) {
    let open = |path: &str| {
        let flags = DescriptorFlags::READ;
        folder.open_at(PathFlags::SYMLINK_FOLLOW, path.to_string(), OpenFlags::empty(), flags)
    };
    failed(open("../data").await, "NotPermitted");
    failed(open("/data").await, "NotPermitted");
    failed(folder.symlink_at("/etc".into(), "away".into()).await, "NotPermitted");
    ok(folder.symlink_at("../..".into(), "up".into()).await);
    failed(open("up").await, "NotPermitted");
    ok(folder.unlink_file_at("up".into()).await);
}

/// A volume that cannot hold what is written.
async fn full(folder: &Descriptor) {
    let file = ok(folder.open_at(NONE, "full".into(), OpenFlags::CREATE, DescriptorFlags::WRITE).await);
    failed(write(&file, &[1; 100_000], Some(0)).await, "InsufficientSpace");
}
