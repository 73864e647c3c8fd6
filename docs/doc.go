// Package docs is the documentation; its tests keep what it says true.
package docs
