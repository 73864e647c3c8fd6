package storage

import "strings"

// Meter is told what goes to the store and what comes from it, by the folder of the object, which is the first element of
// its key: "staging", "archives", "uploads", "manifests", "blobs". It may be told at the same time by many.
type Meter interface {
	// ObjectWritten is told of an object when it is there, whole.
	ObjectWritten(folder string, bytes int64)
	// ObjectRead is told of bytes as they come in.
	ObjectRead(folder string, bytes int64)
}

func (s *Store) wrote(key string, bytes int64) {
	if s.meter != nil {
		s.meter.ObjectWritten(folderOf(key), bytes)
	}
}

func (s *Store) readBytes(key string, bytes int) {
	if s.meter != nil && bytes > 0 {
		s.meter.ObjectRead(folderOf(key), int64(bytes))
	}
}

func folderOf(key string) string {
	folder, _, _ := strings.Cut(key, "/")
	return folder
}
