//! Index tables as JSON, a pack a line.

use super::type_name;
use crate::app::App;
use crate::exit::Failure;
use repo_core::format::table::TableView;
use serde::Serialize;

/// A pack with its blocks and blobs.
#[derive(Serialize)]
struct Pack {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    length: u64,
    epoch: u32,
    domain: u32,
    blocks: Vec<Block>,
    blobs: Vec<Blob>,
}

/// A block: where it lies in the pack, and what it is under its seal.
#[derive(Serialize)]
struct Block {
    offset: u32,
    length: u32,
    uncompressed_length: u32,
    encoding: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bases: Vec<String>,
}

/// A blob: its block, counted from 0, and where it lies in the block's plaintext.
#[derive(Serialize)]
struct Blob {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    block: u32,
    offset: u32,
    uncompressed_length: u32,
}

/// Shows a table. Memory: the table, 4 bytes for each blob, and one pack.
pub fn show(app: &App, body: &[u8]) -> Result<(), Failure> {
    let table = TableView::parse(body)?;
    let blocks: Vec<_> = table.blocks.iter().collect::<Result<_, _>>()?;
    let mut rows: Vec<(u32, u32)> = Vec::with_capacity(table.blobs.len());
    for (row, blob) in (0..).zip(table.blobs.iter()) {
        rows.push((blob?.block, row));
    }
    rows.sort_unstable();
    let (mut rows, mut first_block) = (rows.into_iter().peekable(), 0);
    let mut out = app.terminal.out();
    out.text("{\"packs\":[")?;
    for row in 0..table.packs.len() {
        let info = table.pack(row)?;
        let of_pack = blocks[first_block..]
            .iter()
            .take_while(|block| block.pack as usize == row);
        let mut pack = Pack {
            id: info.id.to_hex(),
            kind: type_name(info.kind),
            length: info.len,
            epoch: info.epoch,
            domain: info.domain,
            blocks: Vec::new(),
            blobs: Vec::new(),
        };
        for block in of_pack {
            let first = block.first_base as usize;
            let bases = first..first + usize::from(block.base_count);
            let bases = bases.map(|base| Ok(table.bases.get(base)?.to_hex()));
            pack.blocks.push(Block {
                offset: block.offset,
                length: block.stored_len,
                uncompressed_length: block.raw_len,
                encoding: block.encoding,
                bases: bases.collect::<Result<_, Failure>>()?,
            });
        }
        let end_block = first_block + pack.blocks.len();
        while let Some((block, row)) = rows.next_if(|(block, _)| (*block as usize) < end_block) {
            let blob = table.blobs.get(row as usize)?;
            pack.blobs.push(Blob {
                id: blob.id.to_hex(),
                kind: pack.kind,
                block: block - first_block as u32,
                offset: blob.offset,
                uncompressed_length: blob.len,
            });
        }
        first_block = end_block;
        let text = serde_json::to_string(&pack).expect("structs of plain values");
        out.text(if row == 0 { "\n" } else { ",\n" })?;
        out.text(&text)?;
    }
    out.text("\n]}\n")?;
    out.finish()
}
