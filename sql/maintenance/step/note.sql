-- Notes the bytes of an index that was just rebuilt, so that it is rebuilt again only if it grows.
comment on index execlog.:"index" is :'comment';
