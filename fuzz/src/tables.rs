//! Index tables and the rows that they share with pack directories.

use repo_core::format::rows::{Blob, Block, PackEntry, PackRow, Row, Rows};
use repo_core::format::table::{TableBuilder, TableView};
use repo_core::id::{BlobId, IndexId};
use repo_core::index::{Index, Limits, Place, Want};
use std::collections::BTreeSet;

fn rows_again<R: Row>(data: &[u8]) {
    let Ok(rows) = Rows::<R>::new(data) else {
        return;
    };
    assert_eq!(rows.len() * R::LEN, data.len());
    assert!(rows.get(rows.len()).is_err());
    for (index, (row, bytes)) in rows.iter().zip(data.chunks(R::LEN)).enumerate() {
        assert_eq!(row.is_ok(), rows.get(index).is_ok());
        if let Ok(row) = row {
            let mut again = Vec::new();
            row.write(&mut again);
            assert_eq!(again, bytes);
        }
    }
}

/// Sections of rows: every row that is read is written as it was.
pub fn rows(data: &[u8]) {
    rows_again::<Block>(data);
    rows_again::<Blob>(data);
    rows_again::<PackRow>(data);
    rows_again::<BlobId>(data);
}

/// The packs of a table, one by one, as the builder takes them.
fn entries(table: &TableView<'_>) -> Vec<PackEntry> {
    let all = "a table is checked whole when it is read";
    let blocks: Vec<Block> = table.blocks.iter().map(|block| block.expect(all)).collect();
    let blobs: Vec<Blob> = table.blobs.iter().map(|blob| blob.expect(all)).collect();
    let bases: Vec<BlobId> = table.bases.iter().map(|base| base.expect(all)).collect();
    let entry = |row: usize| {
        let from = blocks.partition_point(|block| (block.pack as usize) < row);
        let to = blocks.partition_point(|block| block.pack as usize <= row);
        let mut entry = PackEntry::from(table.pack(row).expect(all));
        for block in &blocks[from..to] {
            let first = block.first_base as usize;
            let named = &bases[first..first + usize::from(block.base_count)];
            let first_base = match named.is_empty() {
                true => 0,
                false => u32::try_from(entry.bases.len()).expect("inputs are short"),
            };
            entry.blocks.push(Block {
                pack: 0,
                first_base,
                ..*block
            });
            entry.bases.extend_from_slice(named);
        }
        let inside = blobs
            .iter()
            .filter(|blob| (from..to).contains(&(blob.block as usize)));
        let from = u32::try_from(from).expect("inputs are short");
        entry.blobs = inside
            .map(|blob| Blob {
                block: blob.block - from,
                ..*blob
            })
            .collect();
        entry
    };
    (0..table.packs.len()).map(entry).collect()
}

/// Bases may be shared or left over in a table, but a hundred blocks that share a thousand make a large one of it.
const BASES_MAX: usize = 1 << 16;

/// Index tables: what is accepted can be built again, and the index that takes it in answers for every blob.
pub fn index_table(data: &[u8]) {
    let Ok(table) = TableView::parse(data) else {
        return;
    };
    let named = |block: Block| usize::from(block.base_count);
    if table.blocks.iter().flatten().map(named).sum::<usize>() > BASES_MAX {
        return;
    }
    let entries = entries(&table);
    let mut builder = TableBuilder::new();
    for entry in &entries {
        builder.add_pack(entry).expect("the parts fit together");
    }
    let bytes = builder.finish();
    let again = TableView::parse(&bytes).expect("just built");
    assert_eq!(again.packs.len(), table.packs.len());
    assert_eq!(again.blobs.bytes(), table.blobs.bytes());
    assert_eq!(self::entries(&again), entries);
    take_in(data, &table);
}

fn take_in(data: &[u8], table: &TableView<'_>) {
    let limits = Limits {
        heap_run_bytes_max: 64 << 20,
        resident_bytes_max: 1 << 20,
    };
    let spill = std::env::temp_dir();
    let index = Index::open_with(Place::Spill(&spill), limits).expect("a directory");
    index
        .add_table(IndexId([1; 32]), data)
        .expect("a table that parses is taken in");
    let mut ids = BTreeSet::new();
    for blob in table.blobs.iter().flatten() {
        ids.insert(blob.id);
        let found = index
            .lookup(&blob.id, Want::Readable)
            .expect("in memory")
            .expect("it is there");
        assert!(
            u64::from(found.blob_offset) + u64::from(found.blob_len)
                <= u64::from(found.block.raw_len)
        );
        index.bases(&found).expect("bases are in bounds");
        index.pack_of(&found).expect("its pack is there");
    }
    for pack in table.packs.iter().flatten() {
        let entry = index
            .pack_entry(&pack.id)
            .expect("in memory")
            .expect("it is there");
        assert!(entry.blobs.iter().all(|blob| ids.contains(&blob.id)));
    }
}
