package packagetest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Entry is one entry of an Archive. What is zero is derived from Data, so that a test changes one thing only.
type Entry struct {
	Name      string
	Data      []byte // before compression
	Deflate   bool   // compress Data
	Method    uint16 // instead of store (0) or deflate (8), in both headers
	Flags     uint16
	Mode      uint32              // Unix mode with type bits; 0 stands for a regular file, or a folder where Name ends in a slash
	LocalName string              // name in the header in front of the data, where it differs
	Local     func(header []byte) // changes the header in front of the data
	Size      uint64              // claimed decompressed size
	Checksum  uint32              // claimed CRC-32
	Extra     []byte              // extra fields in the directory
	Zip64     bool                // sizes and position stand in the zip64 field, also where they are small
	SameData  bool                // no data of its own: the directory points to the previous entry's
	Raw       []byte              // compressed data, instead of what Data compresses to
}

// Archive is a zip archive that may be wrong in any way.
type Archive struct {
	Entries []Entry
	Before  []byte                  // in front of the first entry
	After   []byte                  // behind the end record
	Count   int                     // claimed number of entries; 0 stands for the right one
	Comment string                  //
	Zip64   bool                    // write a zip64 end record
	End64   func(record []byte)     // changes the zip64 end record
	End     func(record []byte)     // changes the end record
	Finish  func(all []byte) []byte // changes the whole archive
}

// Bytes renders the archive.
func (a Archive) Bytes() []byte {
	var out, directory bytes.Buffer
	out.Write(a.Before)
	offset := 0
	for _, e := range a.Entries {
		p := e.prepare()
		if !e.SameData {
			offset = out.Len()
			out.Write(p.local())
			out.Write(p.data)
		}
		directory.Write(p.header(offset))
	}
	start := out.Len()
	out.Write(directory.Bytes())
	count := len(a.Entries)
	if a.Count != 0 {
		count = a.Count
	}
	if a.Zip64 {
		at := out.Len()
		record := end64(count, directory.Len(), start)
		if a.End64 != nil {
			a.End64(record)
		}
		out.Write(record)
		out.Write(locator64(at))
	}
	end := make([]byte, 22, 22+len(a.Comment))
	copy(end, "PK\x05\x06")
	le.PutUint16(end[8:], uint16(min(count, math.MaxUint16)))
	le.PutUint16(end[10:], uint16(min(count, math.MaxUint16)))
	le.PutUint32(end[12:], uint32(directory.Len()))
	le.PutUint32(end[16:], uint32(start))
	le.PutUint16(end[20:], uint16(len(a.Comment)))
	if a.End != nil {
		a.End(end)
	}
	out.Write(append(end, a.Comment...))
	out.Write(a.After)
	if a.Finish != nil {
		return a.Finish(out.Bytes())
	}
	return out.Bytes()
}

var le = binary.LittleEndian

// prepared is an entry with everything derived.
type prepared struct {
	Entry
	method uint16
	data   []byte
}

func (e Entry) prepare() prepared {
	p := prepared{Entry: e, data: e.Data, method: e.Method}
	if e.Deflate {
		p.data = Compress(e.Data)
		p.method = 8
		if e.Method != 0 {
			p.method = e.Method
		}
	}
	if e.Raw != nil {
		p.data = e.Raw
	}
	if p.Size == 0 {
		p.Size = uint64(len(e.Data))
	}
	if p.Checksum == 0 {
		p.Checksum = crc32.ChecksumIEEE(e.Data)
	}
	if p.LocalName == "" {
		p.LocalName = p.Name
	}
	if p.Mode == 0 {
		p.Mode = 0o100644
		if len(p.Name) > 0 && p.Name[len(p.Name)-1] == '/' {
			p.Mode = 0o040755
		}
	}
	return p
}

func (p prepared) local() []byte {
	b := make([]byte, 30, 30+len(p.LocalName))
	copy(b, "PK\x03\x04")
	le.PutUint16(b[4:], 20)
	le.PutUint16(b[6:], p.Flags)
	le.PutUint16(b[8:], p.method)
	le.PutUint32(b[14:], p.Checksum)
	le.PutUint32(b[18:], uint32(len(p.data)))
	le.PutUint32(b[22:], uint32(min(p.Size, math.MaxUint32)))
	le.PutUint16(b[26:], uint16(len(p.LocalName)))
	if p.Local != nil {
		p.Local(b)
	}
	return append(b, p.LocalName...)
}

func (p prepared) header(offset int) []byte {
	size, compressed, at := uint32(min(p.Size, math.MaxUint32)), uint32(len(p.data)), uint32(offset)
	switch {
	case p.Zip64:
		field := le.AppendUint64([]byte{1, 0, 24, 0}, p.Size)
		field = le.AppendUint64(field, uint64(len(p.data)))
		p.Extra = append(le.AppendUint64(field, uint64(offset)), p.Extra...)
		size, compressed, at = math.MaxUint32, math.MaxUint32, math.MaxUint32
	case p.Size >= math.MaxUint32:
		p.Extra = append(le.AppendUint64([]byte{1, 0, 8, 0}, p.Size), p.Extra...)
	}
	b := make([]byte, 46, 46+len(p.Name)+len(p.Extra))
	copy(b, "PK\x01\x02")
	le.PutUint16(b[4:], 3<<8|20)
	le.PutUint16(b[6:], 20)
	le.PutUint16(b[8:], p.Flags)
	le.PutUint16(b[10:], p.method)
	le.PutUint32(b[16:], p.Checksum)
	le.PutUint32(b[20:], compressed)
	le.PutUint32(b[24:], size)
	le.PutUint16(b[28:], uint16(len(p.Name)))
	le.PutUint16(b[30:], uint16(len(p.Extra)))
	le.PutUint32(b[38:], p.Mode<<16)
	le.PutUint32(b[42:], at)
	return append(append(b, p.Name...), p.Extra...)
}

func end64(count, size, offset int) []byte {
	b := make([]byte, 56)
	copy(b, "PK\x06\x06")
	le.PutUint64(b[4:], 44)
	le.PutUint64(b[24:], uint64(count))
	le.PutUint64(b[32:], uint64(count))
	le.PutUint64(b[40:], uint64(size))
	le.PutUint64(b[48:], uint64(offset))
	return b
}

func locator64(at int) []byte {
	b := make([]byte, 20)
	copy(b, "PK\x06\x07")
	le.PutUint64(b[8:], uint64(at))
	le.PutUint32(b[16:], 1)
	return b
}

// Compress deflates data.
func Compress(data []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("packagetest: deflate: " + err.Error()) // a buffer takes everything
	}
	return b.Bytes()
}
