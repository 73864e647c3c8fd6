package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// digitalContent is what makes two versions of a digital asset differ. As canonical JSON it is a version's definition,
// and what its digest is made over.
type digitalContent struct {
	DigitalMetadata
	Files []definedFile `json:"files"` // by id
}

type definedFile struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	MD5      string `json:"md5"`
	Type     string `json:"type"`
	Category string `json:"category"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`
}

func newDigitalContent(m DigitalMetadata, files []digitalFileRow) digitalContent {
	content := digitalContent{DigitalMetadata: m, Files: make([]definedFile, len(files))}
	for i, f := range files {
		content.Files[i] = definedFile{ID: f.ID, Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category, Size: f.Size, SHA256: f.SHA256}
	}
	slices.SortFunc(content.Files, func(a, b definedFile) int { return cmp.Compare(a.ID, b.ID) })
	return content
}

// readDefinition reads what version wrote.
func readDefinition(text string) (digitalContent, error) {
	var content digitalContent
	if err := json.Unmarshal([]byte(text), &content); err != nil {
		return content, fmt.Errorf("read the definition of a version: %w", err)
	}
	if string(content.ExtraMeta) == "null" {
		content.ExtraMeta = nil
	}
	return content, nil
}

// complete tells whether the main file is there.
func (d digitalContent) complete() bool {
	return slices.ContainsFunc(d.Files, func(f definedFile) bool { return f.Category == MainCategory })
}

// definition gives the canonical JSON and its digest.
func (d digitalContent) definition() (text, digest string) {
	text = string(canonicalJSON(string(canonical(d))))
	h := sha256.New()
	_, _ = io.WriteString(h, "assetflow digital asset content 1\n") // a hash never fails to take bytes
	_, _ = io.WriteString(h, text)
	return text, hex.EncodeToString(h.Sum(nil))
}

// maker says who makes a version, when, and by which job.
type maker struct {
	userID string
	jobID  string // empty where no job does
	at     stamp
}

// writeContent makes a new version of a held asset with the content, and shows it in the given state. Blobs that the
// current version does not use must be locked with requireBlobs.
func (c *Catalog) writeContent(ctx context.Context, tx bun.Tx, row *digitalRow, content digitalContent, by maker) error {
	row.VersionNumber++
	_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("version_number = ?", row.VersionNumber).Set("name = ?", content.Name).
		Where("id = ?", row.AssetID).Exec(ctx)
	if isDuplicate(err) {
		return nameTaken(content.Name)
	}
	if err != nil {
		return fmt.Errorf("raise the version: %w", err)
	}
	if err := c.writeVersion(ctx, tx, row, content, by); err != nil {
		return err
	}
	row.UpdatedAt = by.at
	_, err = tx.NewUpdate().Model(row).Column("type", "position", "metadata", "state", "reason", "copy_job_id", "copying", "updated_at").
		WherePK().Exec(ctx)
	if err != nil {
		return fmt.Errorf("write the digital asset: %w", err)
	}
	if _, err := tx.NewDelete().Model((*digitalTagRow)(nil)).Where("asset_id = ?", row.AssetID).Exec(ctx); err != nil {
		return fmt.Errorf("remove the tags: %w", err)
	}
	return writeTags(ctx, tx, row.AssetID, content.Tags)
}

// writeVersion adds the version that the row numbers, with its files, and puts what it says into the row.
func (c *Catalog) writeVersion(ctx context.Context, tx bun.Tx, row *digitalRow, content digitalContent, by maker) error {
	version := versionRow{
		AssetID: row.AssetID, Number: row.VersionNumber, SourceID: row.AssetID, Description: content.Description,
		CreatedBy: by.userID, JobID: by.jobID, CreatedAt: by.at,
	}
	version.Definition, version.Digest = content.definition()
	if _, err := tx.NewInsert().Model(&version).Exec(ctx); err != nil {
		return fmt.Errorf("write the version: %w", err)
	}
	if err := c.failpoint("version"); err != nil {
		return err
	}
	files := make([]fileRow, len(content.Files))
	for i, f := range content.Files {
		files[i] = fileRow{AssetID: row.AssetID, VersionNumber: row.VersionNumber, Path: f.ID, SHA256: f.SHA256, Size: f.Size}
	}
	err := insertAll(ctx, tx, files)
	if isDangling(err) {
		return noBlobs().Wrap(err)
	}
	if err != nil {
		return fmt.Errorf("write the files of the version: %w", err)
	}
	row.Name, row.Digest, row.Type, row.Position = content.Name, version.Digest, content.Type, content.Order
	row.Metadata = string(canonical(content.DigitalMetadata))
	return c.failpoint("version files")
}

func writeTags(ctx context.Context, tx bun.Tx, assetID string, tags []string) error {
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	rows := make([]digitalTagRow, len(tags))
	for i, tag := range tags {
		rows[i] = digitalTagRow{AssetID: assetID, Tag: tag}
	}
	if err := insertAll(ctx, tx, rows); err != nil {
		return fmt.Errorf("write the tags: %w", err)
	}
	return nil
}

// requireBlobs holds the blobs of the files until the transaction ends, so that no sweep condemns them before the
// version that uses them can be seen, and marks them stored. NotFound "catalog.blobs_not_found" where one is condemned
// or was never touched; Invalid "catalog.bad_blob" where one has another size.
func (c *Catalog) requireBlobs(ctx context.Context, tx bun.Tx, files []definedFile, at stamp) error {
	sizes := make(map[string]int64, len(files))
	for _, f := range files {
		if err := checkBlob(f.SHA256, f.Size); err != nil {
			return err
		}
		if size, known := sizes[f.SHA256]; known && size != f.Size {
			return badBlob()
		}
		sizes[f.SHA256] = f.Size
	}
	digests := make([]string, 0, len(sizes))
	for digest := range sizes {
		digests = append(digests, digest)
	}
	slices.Sort(digests)
	for chunk := range slices.Chunk(digests, rowsPerStatement) {
		var blobs []blobRow
		err := tx.NewSelect().Model(&blobs).Where("b.sha256 IN (?)", bun.List(chunk)).Order("b.sha256").Apply(c.lock("b")).Scan(ctx)
		if err != nil {
			return fmt.Errorf("hold the blobs: %w", err)
		}
		if len(blobs) < len(chunk) {
			return noBlobs()
		}
		for _, b := range blobs {
			if !b.CondemnedAt.IsZero() && b.CondemnedAt.at.After(b.TouchedAt.at) { // as the condition condemned
				return noBlobs()
			}
			if b.Size != sizes[b.SHA256] {
				return badBlob()
			}
		}
		_, err = tx.NewUpdate().Model((*blobRow)(nil)).Set("stored_at = ?", at).Where("sha256 IN (?)", bun.List(chunk)).
			Where("stored_at IS NULL").Exec(ctx)
		if err != nil {
			return fmt.Errorf("mark the blobs stored: %w", err)
		}
	}
	return c.failpoint("blobs")
}

func badDigital(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_asset", format, args...)
}

// prepareMetadata checks what the schema and the contract rely on, and gives the metadata in the form in which it is
// kept. Invalid "catalog.bad_name", "catalog.bad_asset".
func prepareMetadata(m DigitalMetadata) (DigitalMetadata, error) {
	if err := checkNames(m.Name); err != nil {
		return m, err
	}
	if len(m.Tags) > MaxTags {
		return m, badDigital("an asset has at most %d tags", MaxTags)
	}
	for _, tag := range m.Tags {
		if tag == "" || utf8.RuneCountInString(tag) > MaxTag {
			return m, badDigital("a tag has 1 to %d characters", MaxTag)
		}
	}
	for _, text := range slices.Concat([]string{m.Description, m.AppUserID, m.Type}, m.Tags, m.SystemProperties) {
		if !isText(text) {
			return m, badDigital("the metadata is not valid text")
		}
	}
	extra, err := compactJSON(m.ExtraMeta)
	if err != nil || extra != "" && extra[0] != '{' {
		return m, badDigital("the extra metadata must be a JSON object")
	}
	m.ExtraMeta = nil
	if extra != "" {
		// It becomes a part of larger JSON, and Go reads JSON down to a certain depth.
		if !json.Valid([]byte("[[" + extra + "]]")) {
			return m, badDigital("the extra metadata is nested too deeply")
		}
		m.ExtraMeta = canonicalJSON(extra)
	}
	m.Tags = append([]string{}, m.Tags...)
	m.SystemProperties = append([]string{}, m.SystemProperties...)
	return m, nil
}

// isDigitalID tells whether a text can be the id of a digital asset or a file: it becomes a part of object keys.
func isDigitalID(id string) bool {
	if id == "" || len(id) > MaxDigitalID || id[0] == '.' {
		return false
	}
	for _, b := range []byte(id) {
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		if !letter && b != '-' && b != '_' && b != '.' {
			return false
		}
	}
	return true
}
