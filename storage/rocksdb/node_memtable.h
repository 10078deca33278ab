#pragma once

#include <cstddef>

#include <rocksdb/memtablerep.h>

namespace sop::rocksdb_storage {

// Makes the memtables of a family that is written by one thread at a time and read one key at a
// time, as `nodes` is. Such a memtable is a hash table of keys, each with the chain of its entries,
// newest first: an insert is a hash and a push where a skip list compares its way through cold
// memory.
//
// 1. Entries of a key are chained in RocksDB's order: by falling sequence number.
// 2. Readers take no lock: an entry or key is complete before the release store that links it, and
//    nothing that is linked changes but its link to the next.
// 3. An iterator over all keys sorts them at its first seek and sees the keys of that moment;
//    those of a memtable that is full are sorted once for all iterators. Going backwards within
//    one key takes time in the number of its entries.
//
// For families under BytewiseComparator without inplace updates. Thread-safe.
class NodeMemTableFactory : public rocksdb::MemTableRepFactory {
 public:
  // Hash tables suit memtables of `write_buffer_bytes`; larger ones are slower, not wrong.
  explicit NodeMemTableFactory(size_t write_buffer_bytes);

  const char* Name() const override { return "NodeMemTable"; }

  using rocksdb::MemTableRepFactory::CreateMemTableRep;
  rocksdb::MemTableRep* CreateMemTableRep(const rocksdb::MemTableRep::KeyComparator& compare,
                                          rocksdb::Allocator* allocator,
                                          const rocksdb::SliceTransform* prefix,
                                          rocksdb::Logger* log) override;

 private:
  const size_t bucket_count_;
};

}  // namespace sop::rocksdb_storage
