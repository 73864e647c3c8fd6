// Package hql reads the filter and sort expressions of the JP1/Automatic Operation API (Hitachi Query Language), such as
//
//	version ge '01.20.00' and (vendorID = 'com.example' or tags starts 'Net') and latest = true
//
// The grammar, with words in any case and white space between any two tokens:
//
//	expression = conjunction { "or" conjunction }
//	conjunction = term { "and" term }
//	term       = "(" expression ")" | comparison
//	comparison = field operator value | field ( "in" | "not in" ) "[" value { "," value } "]"
//	field      = name | "[" name "]"
//	operator   = "eq" "=" | "ne" "<>" "!=" | "gt" ">" | "lt" "<" | "ge" ">=" | "le" "<=" | "starts" | "ends"
//	value      = text in single quotes, '' standing for one quote | digits | "true" | "false"
//	sort       = field [ "asc" | "desc" ] { "," field [ "asc" | "desc" ] }
//
// "and" binds tighter than "or". The caller says which fields there are and of which type; what compares a field with
// a value of another type is refused, so whatever evaluates an expression meets no surprise. Names of fields are case
// sensitive. Text is compared by code points, case sensitively; false comes before true. A time is written as text, in
// ISO 8601 with a zone.
package hql
