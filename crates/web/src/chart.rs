//! Small charts as SVG, drawn on the server, with a title and a description for those who cannot see them.
