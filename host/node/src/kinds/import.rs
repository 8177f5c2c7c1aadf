//! Taking a backup in, with the kinds that are in it.

use granary_store::transfer::{Existing, Imported, TransferError, import};
use tokio::io::{AsyncBufRead, AsyncSeek};

use super::Kinds;
use crate::observe::events::What;

impl Kinds {
    /// Imports a backup into the store. Kinds in it run at once; compiling what is new is part of the import. Deployments wait
    /// for its end. Errors: those of [`import`]; after `Stopped`, kinds that were written are shown, too.
    pub async fn import<R>(
        &self,
        file: &mut R,
        existing: Existing,
    ) -> Result<Imported, TransferError>
    where
        R: AsyncBufRead + AsyncSeek + Send + Unpin,
    {
        let _guard = self.shared.changing.lock().await;
        let done = import(&*self.shared.store, file, existing).await;
        let imported = match &done {
            Ok(imported) | Err(TransferError::Stopped { done: imported, .. }) => *imported,
            Err(_) => return done,
        };
        if imported.kinds == 0 {
            return done;
        }
        let kept = self.shared.store.kinds().await;
        let records = kept.map_err(|source| TransferError::Stopped {
            line: 0,
            done: imported,
            source,
        })?;
        for record in records {
            if self.get(record.name.as_str()).as_deref() == Some(&record) {
                continue;
            }
            let (kind, revision) = (record.name.clone(), record.current);
            self.shared.catalogue.put(record);
            self.shared.events.push(What::Deployed {
                kind,
                revision,
                verdict: "imported".to_owned(),
            });
        }
        self.prepare().await;
        done
    }
}
