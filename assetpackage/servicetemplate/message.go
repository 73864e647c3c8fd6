package servicetemplate

import "assetflow/assetpackage"

// The identifiers of messages about imports that fail, in the form of the API. docs/service-template.md lists them.
const (
	MessageNotATemplate   = "KNAE90001-E" // neither a .st nor a .zip
	MessageCorrupted      = "KNAE90002-E" // the archive is damaged, or contradicts itself
	MessageUnsafe         = "KNAE90003-E" // the archive is built to do harm
	MessageBadTemplate    = "KNAE90004-E" // template.json is not valid
	MessageBadVersion     = "KNAE90005-E" // the version is not of the form aa.bb.cc
	MessageBadContent     = "KNAE90006-E" // the icon or another file is not as it must be
	MessageDuplicate      = "KNAE90007-E" // one template twice in a bundle
	MessageBadFileName    = "KNAE90008-E" // the file, or one in a bundle, is not called .st or .zip
	MessageTooLarge       = "KNAE90009-E" // something exceeds a limit
	MessageReleaseDiffers = "KNAE90010-E" // a release of this triple exists and is another one
	MessageImportRunning  = "KNAE90011-E" // an import of the same user runs
	MessageFailed         = "KNAE90012-E" // a failure of the service
)

// messageIDs by the codes of problems.
var messageIDs = map[string]string{
	assetpackage.CodeNotAZip: MessageNotATemplate, CodeNotATemplate: MessageNotATemplate,
	assetpackage.CodeTruncated: MessageCorrupted, assetpackage.CodeTrailingBytes: MessageCorrupted, assetpackage.CodeBadArchive: MessageCorrupted,
	assetpackage.CodeSizeMismatch: MessageCorrupted, assetpackage.CodeCorruptFile: MessageCorrupted,
	assetpackage.CodeBomb: MessageUnsafe, assetpackage.CodeEncrypted: MessageUnsafe, assetpackage.CodeUnknownCompression: MessageUnsafe,
	assetpackage.CodeSpecialFile: MessageUnsafe, assetpackage.CodeUnsafePath: MessageUnsafe,
	assetpackage.CodeDuplicateEntry: MessageUnsafe, assetpackage.CodePathConflict: MessageUnsafe,
	assetpackage.CodeTooLarge: MessageTooLarge, assetpackage.CodeTooManyEntries: MessageTooLarge,
	CodeTooManyTemplates: MessageTooLarge, CodeNestedTooLarge: MessageTooLarge,
	CodeBadVersion: MessageBadVersion, CodeBadTemplate: MessageBadTemplate, CodeSecretDefault: MessageBadTemplate,
	CodeBadIcon: MessageBadContent, CodeUnknownFile: MessageBadContent,
	CodeDuplicateTemplate: MessageDuplicate, CodeBadFileName: MessageBadFileName, CodeReleaseDiffers: MessageReleaseDiffers,
}

// MessageID gives the API's identifier for the code of a problem; MessageFailed for one that is not known here.
func MessageID(code string) string {
	if id, ok := messageIDs[code]; ok {
		return id
	}
	return MessageFailed
}
