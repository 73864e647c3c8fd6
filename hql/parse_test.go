package hql_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/hql"
	"assetflow/hql/hqltest"
)

var fields = map[string]hql.Type{
	"keyName": hql.Text, "version": hql.Text, "instanceID": hql.Number, "latest": hql.Boolean, "createTime": hql.Time, "in": hql.Text,
}

func text(s string) hql.Value  { return hql.Value{Type: hql.Text, Text: s} }
func number(n int64) hql.Value { return hql.Value{Type: hql.Number, Number: n} }
func boolean(b bool) hql.Value { return hql.Value{Type: hql.Boolean, Boolean: b} }
func comparison(field string, op hql.Operator, v ...hql.Value) hql.Comparison {
	return hql.Comparison{Field: field, Operator: op, Values: v}
}

func TestParse(t *testing.T) {
	t.Parallel()
	a, b, c := comparison("keyName", hql.Equal, text("a")), comparison("latest", hql.Equal, boolean(true)), comparison("instanceID", hql.Less, number(7))
	for filter, want := range map[string]hql.Expr{
		"keyName eq 'a'":                                 a,
		"keyName='a'":                                    a,
		" \t[keyName]\r\nEQ\n'a' ":                       a,
		"((keyName = 'a'))":                              a,
		"keyName ne 'a'":                                 comparison("keyName", hql.NotEqual, text("a")),
		"keyName <> 'a'":                                 comparison("keyName", hql.NotEqual, text("a")),
		"keyName!='a'":                                   comparison("keyName", hql.NotEqual, text("a")),
		"instanceID gt 007":                              comparison("instanceID", hql.Greater, number(7)),
		"instanceID>9223372036854775807":                 comparison("instanceID", hql.Greater, number(1<<63-1)),
		"instanceID lt 7":                                c,
		"instanceID<7":                                   c,
		"instanceID ge 7":                                comparison("instanceID", hql.GreaterOrEqual, number(7)),
		"instanceID>=7":                                  comparison("instanceID", hql.GreaterOrEqual, number(7)),
		"instanceID le 7":                                comparison("instanceID", hql.LessOrEqual, number(7)),
		"instanceID<=7":                                  comparison("instanceID", hql.LessOrEqual, number(7)),
		"keyName starts ''":                              comparison("keyName", hql.Starts, text("")),
		"keyName ends 'it''s'''":                         comparison("keyName", hql.Ends, text("it's'")),
		"keyName eq '100% \"_\\ größer; --'":             comparison("keyName", hql.Equal, text("100% \"_\\ größer; --")),
		"latest = TRUE":                                  b,
		"latest != False":                                comparison("latest", hql.NotEqual, boolean(false)),
		"keyName in['a']":                                comparison("keyName", hql.In, text("a")),
		"[in] in ['in','not']":                           comparison("in", hql.In, text("in"), text("not")),
		"in in ['in']":                                   comparison("in", hql.In, text("in")),
		"instanceID not  in [1 , 2,3]":                   comparison("instanceID", hql.NotIn, number(1), number(2), number(3)),
		"keyName='a' and latest=true":                    hql.And{a, b},
		"keyName='a' AND latest=true Or 'x'='y'":         nil,
		"keyName='a' or latest=true and instanceID<7":    hql.Or{a, hql.And{b, c}},
		"keyName='a' and latest=true or instanceID<7":    hql.Or{hql.And{a, b}, c},
		"(keyName='a' or latest=true)and instanceID<7":   hql.And{hql.Or{a, b}, c},
		"keyName='a' and (latest=true and instanceID<7)": hql.And{a, b, c},
		"(keyName='a' or latest=true) or instanceID<7":   hql.Or{a, b, c},
		"createTime ge '2014-08-18T16:53:50.000+0900'":   comparison("createTime", hql.GreaterOrEqual, hql.Value{Type: hql.Time, Time: time.Date(2014, 8, 18, 7, 53, 50, 0, time.UTC)}),
		"createTime = '2014-08-18T07:53:50.5Z'":          comparison("createTime", hql.Equal, hql.Value{Type: hql.Time, Time: time.Date(2014, 8, 18, 7, 53, 50, 5e8, time.UTC)}),
		"createTime = '2014-08-18T16:53:50+09:00'":       comparison("createTime", hql.Equal, hql.Value{Type: hql.Time, Time: time.Date(2014, 8, 18, 7, 53, 50, 0, time.UTC)}),
	} {
		got, err := hql.Parse(filter, fields)
		if want == nil {
			require.Error(t, err, filter)
			continue
		}
		require.NoError(t, err, filter)
		require.Equal(t, want, got, filter)
		again, err := hql.Parse(got.String(), fields)
		require.NoError(t, err, got.String())
		require.Equal(t, want, again, got.String())
	}
}

func TestParseNamesTheColumn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter  string
		column  int
		message string
	}{
		{"", 1, `the name of a field is expected, or "(", but there is the end`},
		{"  ", 3, "but there is the end"},
		{"keyNam = 'a'", 1, `there is no field "keyNam"; the fields are createTime, in, instanceID, keyName, latest, version`},
		{"keyname = 'a'", 1, `there is no field "keyname"`},
		{"keyName", 8, "an operator is expected"},
		{"keyName is 'a'", 9, `an operator is expected (eq = ne <> != gt > lt < ge >= le <= starts ends in, not in), but there is "is"`},
		{"keyName 'eq' 'a'", 9, `but there is the text "eq"`},
		{"keyName = a", 11, `the field "keyName" holds text: text in single quotes is expected, but there is "a"`},
		{"keyName = 1", 11, `text in single quotes is expected, but there is "1"`},
		{`keyName = "a"`, 11, "not in double ones"},
		{"keyName = 'a", 11, "no closing quote"},
		{"keyName = 'ä' and latest = 'true'", 28, `true or false, without quotes, is expected, but there is the text "true"`},
		{"latest = yes", 10, "true or false"},
		{"latest starts true", 8, `"starts" is for text, but the field "latest" holds true or false`},
		{"instanceID ends 1", 12, `"ends" is for text`},
		{"instanceID = '1'", 14, "a whole number without quotes"},
		{"instanceID = 9223372036854775808", 14, "a whole number"},
		{"instanceID = -1", 14, `the character "-" stands for nothing here`},
		{"instanceID = 1x", 14, `but there is "1x"`},
		{"createTime > 2014", 14, "a time in single quotes"},
		{"createTime > '2014-08-18'", 14, "a time in single quotes"},
		{"createTime > '0000-01-01T00:00:00Z'", 14, "a time in single quotes"},
		{"createTime > '9999-12-31T23:59:59-0900'", 14, "a time in single quotes"},
		{"keyName in 'a'", 12, "a list such as ['a','b'] is expected"},
		{"keyName in []", 13, "text in single quotes is expected"},
		{"keyName in ['a',]", 17, "text in single quotes is expected"},
		{"keyName in ['a' 'b']", 17, `a comma or "]" is expected`},
		{"keyName in ['a'", 16, `a comma or "]" is expected, but there is the end`},
		{"keyName not 'a'", 13, `"in" is expected after "not"`},
		{"keyName = 'a' latest = true", 15, `"and", "or" or the end is expected, but there is "latest"`},
		{"keyName = 'a' and", 18, "the name of a field is expected"},
		{"not keyName = 'a'", 1, `there is no field "not"`},
		{"(keyName = 'a'", 15, `the ")" for the "(" of column 1 is expected`},
		{"keyName = 'a')", 14, `the end is expected, but there is ")"`},
		{"[keyName = 'a'", 10, `"]" is expected`},
		{"[ = 'a'", 3, "the name of a field is expected, but"},
		{"keyName = 'a'; drop", 14, `the character ";" stands for nothing`},
		{"keyName = 'ä\x00'", 13, "NUL"},
		{"ä\xff", 2, "not valid UTF-8"},
		{"keyName = 'a' or \u202e", 18, `"\u202e"`},
		{"keyName = " + strings.Repeat("a", 100), 11, `"` + strings.Repeat("a", 40) + `…"`},
		{strings.Repeat("(", 33), 33, "at most 32 parentheses may be nested"},
		{"keyName = '" + strings.Repeat("ä", hql.MaxLength) + "'", 2054, "it is longer than 4096 bytes"},
	} {
		e, err := hql.Parse(c.filter, fields)
		require.Nil(t, e, c.filter)
		var invalid *hql.Error
		require.ErrorAs(t, err, &invalid, c.filter)
		require.Equal(t, c.column, invalid.Column, "%s: %v", c.filter, err)
		require.Contains(t, invalid.Message, c.message)
		f, ok := fault.As(err)
		require.True(t, ok)
		require.Equal(t, fault.Invalid, f.Kind)
		require.Equal(t, "hql.invalid", f.Code)
		require.Equal(t, invalid.Error(), f.Message)
		require.Regexp(t, `^The filter cannot be read at column \d+: .*\.$`, f.Message)
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	_, err := hql.Parse(strings.Repeat("(", hql.MaxDepth)+"keyName='a'"+strings.Repeat(")", hql.MaxDepth), fields)
	require.NoError(t, err)
	_, err = hql.Parse(strings.Repeat("(keyName='a')or", 200)+"(keyName='a')", fields)
	require.NoError(t, err, "parentheses beside each other are not nested")
	e, err := hql.Parse(strings.Repeat("(latest=true and (latest=true or ", hql.MaxDepth/2)+"in='a' or in='b' and in='c'"+strings.Repeat("))", hql.MaxDepth/2), fields)
	require.NoError(t, err)
	_, err = hql.Parse(e.String(), fields)
	require.NoError(t, err, "rendering adds no level")
}

func TestParseSort(t *testing.T) {
	t.Parallel()
	for order, want := range map[string][]hql.Sort{
		"keyName":                              {{Field: "keyName"}},
		"keyName DESC":                         {{Field: "keyName", Descending: true}},
		"[keyName] asc,version desc , latest ": {{Field: "keyName"}, {Field: "version", Descending: true}, {Field: "latest"}},
	} {
		got, err := hql.ParseSort(order, fields)
		require.NoError(t, err, order)
		require.Equal(t, want, got)
	}
	for order, want := range map[string]string{
		"":                      "The sort order cannot be read at column 1: the name of a field is expected, but there is the end.",
		"name":                  `The sort order cannot be read at column 1: there is no field "name"; the fields are createTime, in, instanceID, keyName, latest, version.`,
		"keyName,":              "The sort order cannot be read at column 9: the name of a field is expected, but there is the end.",
		"keyName down":          `The sort order cannot be read at column 9: "asc", "desc", a comma or the end is expected, but there is "down".`,
		"keyName asc desc":      `The sort order cannot be read at column 13: "asc", "desc", a comma or the end is expected, but there is "desc".`,
		"keyName, keyName desc": `The sort order cannot be read at column 10: the field "keyName" is in it twice.`,
		"keyName;":              `The sort order cannot be read at column 8: the character ";" stands for nothing here; text stands in single quotes.`,
	} {
		got, err := hql.ParseSort(order, fields)
		require.Nil(t, got)
		require.EqualError(t, err, want)
		require.Equal(t, "hql.invalid", fault.CodeOf(err))
	}
}

// records are the rows of the tests that evaluate.
var records = []hqltest.Record{
	{"keyName": text("backup"), "version": text("01.20.00"), "instanceID": number(1), "latest": boolean(true), "createTime": {Type: hql.Time, Time: time.Unix(1e9, 0).UTC()}, "in": text("")},
	{"keyName": text("Backup"), "version": text("01.00.00"), "instanceID": number(2), "latest": boolean(false), "createTime": {Type: hql.Time, Time: time.Unix(2e9, 5e6).UTC()}, "in": text("it's")},
	{"keyName": text("größe"), "version": text("00.09.99"), "instanceID": number(300), "latest": boolean(true), "createTime": {Type: hql.Time, Time: time.Unix(0, 0).UTC()}, "in": text("a_b%")},
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string][]bool{
		"keyName = 'backup'":                                 {true, false, false},
		"keyName starts 'gr' or [in] ends '''s'":             {false, true, true},
		"version >= '01.00.00' and version < '01.20.00'":     {false, true, false},
		"instanceID in [1,300]":                              {true, false, true},
		"instanceID not in [1,300]":                          {false, true, false},
		"latest > false":                                     {true, false, true},
		"latest <= false":                                    {false, true, false},
		"createTime <> '2001-09-09T01:46:40Z'":               {false, true, true},
		"keyName > 'Z'":                                      {true, false, true},
		"instanceID < 3 and (latest = true or in = 'it''s')": {true, true, false},
	} {
		e, err := hql.Parse(filter, fields)
		require.NoError(t, err, filter)
		for i, record := range records {
			require.Equal(t, want[i], hqltest.Match(e, record), "%s on %d", filter, i)
		}
	}
}

func TestWhatIsRenderedIsReadAgain(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		e := hqltest.Random(r, fields, records, 3)
		again, err := hql.Parse(e.String(), fields)
		if len(e.String()) > hql.MaxLength {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, e.String())
		require.Equal(t, e, again)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"keyName = 'a'", "(latest = true or instanceID in [1,2]) and keyName not in ['it''s']", "keyName asc, version desc",
		"createTime > '2014-08-18T16:53:50.000+0900'", "((", "keyName = '"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		check := func(err error) {
			var invalid *hql.Error
			if !errors.As(err, &invalid) {
				t.Fatalf("%q: not an *Error: %v", input, err)
			}
			if invalid.Column < 1 || invalid.Column > utf8.RuneCountInString(input)+1 {
				t.Fatalf("%q: column %d", input, invalid.Column)
			}
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Fatalf("%q: not safe to show: %q", input, err.Error())
			}
		}
		if e, err := hql.Parse(input, fields); err != nil {
			check(err)
		} else if rendered := e.String(); len(rendered) <= hql.MaxLength {
			again, err := hql.Parse(rendered, fields)
			if err != nil || again.String() != rendered {
				t.Fatalf("%q is rendered as %q, which is read as %v, %v", input, rendered, again, err)
			}
			for _, record := range records {
				if hqltest.Match(e, record) != hqltest.Match(again, record) {
					t.Fatalf("%q and %q do not hold for the same", input, rendered)
				}
			}
		}
		if _, err := hql.ParseSort(input, fields); err != nil {
			check(err)
		}
	})
}
