//go:build !race

package servicetemplate_test

const raceDetector = false
