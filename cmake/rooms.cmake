# clo_room(name SOURCES a.c b.c [USES room...] [LIBS foreign...])
# One static library a room, so that the link lines repeat the layer rule. Foreign libraries are
# private: no other room sees their headers through this one.
function(clo_room name)
  cmake_parse_arguments(R "" "" "SOURCES;USES;LIBS" ${ARGN})
  add_library(clo_${name} STATIC ${R_SOURCES})
  target_include_directories(clo_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include
                             PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  list(TRANSFORM R_USES PREPEND clo_)
  target_link_libraries(clo_${name} PUBLIC ${R_USES} PRIVATE ${R_LIBS})
endfunction()

# Every tests/<room>/test_<room>_<topic>.c is one program linked with that room and what it uses;
# a file that must reach a room's private headers finds them under its source folder.
function(clo_tests_of room)
  if(NOT TARGET clo_${room})
    return()
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${room}/test_*.c)
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    add_executable(${name} ${file})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support
                               ${CMAKE_SOURCE_DIR}/src/${room})
    target_link_libraries(${name} PRIVATE clo_support clo_${room} m)
  endforeach()
endfunction()

# Every tests/fuzz/fuzz_<room>_<parser>.c is one libFuzzer target when CLO_FUZZ is on.
function(clo_fuzz_targets)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    string(REGEX REPLACE "^fuzz_([a-z]+)_.*" "\\1" room ${name})
    add_executable(${name} ${file})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src/${room})
    target_link_libraries(${name} PRIVATE clo_${room})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endforeach()
endfunction()
