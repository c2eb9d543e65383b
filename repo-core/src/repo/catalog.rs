//! The index as the checks and plans of the log see it.

use super::Repo;
use crate::error::Result;
use crate::format::rows::EachBlob;
use crate::id::{BlobId, PackId};
use crate::index::{Index, Picture, PictureMarks};
use crate::log::{Catalog, Inventory, Needed, Rows};
use std::ops::ControlFlow;

/// Where blobs lie, by the tables in force.
pub struct IndexCatalog<'a>(pub &'a Index);

impl Catalog for IndexCatalog<'_> {
    fn copies(&self, blob: &BlobId, each: &mut dyn FnMut(&PackId, &[BlobId])) -> Result<()> {
        for location in self.0.copies(blob)? {
            each(&self.0.pack_id_of(&location)?, &self.0.bases(&location)?);
        }
        Ok(())
    }

    fn knows(&self, pack: &PackId) -> Result<bool> {
        Ok(self.0.pack(pack)?.is_some())
    }
}

impl Inventory for IndexCatalog<'_> {
    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()> {
        let Some(entry) = self.0.pack_entry(pack)? else {
            return Ok(());
        };
        for blob in &entry.blobs {
            let block = entry.blocks.get(blob.block as usize);
            let bases = block.map_or(&[][..], |block| entry.bases_of(block));
            each(&blob.id, bases)?;
        }
        Ok(())
    }

    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()> {
        if !self.0.has_deltas() {
            return Ok(());
        }
        self.0.for_each_blob(&mut |blob, location| {
            if location.block.base_count > 0 {
                each(&blob, &self.0.bases(&location)?)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// A picture of the index as plans walk through it.
pub struct PictureRows<'a>(pub &'a Picture);

impl Rows for PictureRows<'_> {
    fn pack_count(&self) -> u32 {
        self.0.pack_count()
    }

    fn block_count(&self) -> u32 {
        self.0.block_count()
    }

    fn row_count(&self) -> u64 {
        self.0.row_count()
    }

    fn for_each_pack(&self, each: &mut dyn FnMut(u32, &PackId) -> Result<()>) -> Result<()> {
        let mut packs = self.0.packs();
        packs.try_for_each(|number| each(number, &self.0.pack_row(number)?.id))
    }

    fn for_each_blob(&self, each: &mut EachBlob<'_>) -> Result<()> {
        self.0.for_each_blob(each)
    }

    fn for_each_base(&self, each: &mut dyn FnMut(u32, &[BlobId]) -> Result<()>) -> Result<()> {
        if !self.0.has_deltas() {
            return Ok(());
        }
        self.0
            .for_each_base(&mut |block, bases| each(block, &bases))
    }
}

impl Needed for PictureMarks {
    fn needs(&self, blob: &BlobId) -> Result<bool> {
        self.contains(blob)
    }

    fn needs_at(&self, _blob: &BlobId, row: u64) -> Result<bool> {
        Ok(self.has_row(row))
    }
}

impl Repo {
    /// The index as the checks of the log see it.
    pub(crate) fn catalog(&self) -> IndexCatalog<'_> {
        IndexCatalog(self.index())
    }
}
